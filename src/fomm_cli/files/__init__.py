"""Treat files as files: write them whole, cache, hash, identify and download them."""

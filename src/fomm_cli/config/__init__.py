"""Describe and read config files."""

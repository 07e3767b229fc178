"""Detect faces, with one file for each detector."""

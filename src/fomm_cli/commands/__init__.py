"""Implement the commands, one file each: from parsed options to printed lines."""

"""Fuzz the command line: mutated files and hostile values, each tried in a process of its own."""

"""Animate one source by one driving motion."""

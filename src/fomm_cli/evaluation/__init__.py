"""Measure results against the truth, and engines against the clock."""

"""Find, follow, judge and crop faces."""

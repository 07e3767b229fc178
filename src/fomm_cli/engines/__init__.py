"""Ways to run a generator."""

"""Ways to run the generator."""

"""Build the networks, and load weights into them."""

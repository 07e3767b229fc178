"""The networks, and every way weights get into them."""

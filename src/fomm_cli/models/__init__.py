"""The networks, and the files their weights come from."""

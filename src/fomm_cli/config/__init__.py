"""What a config file may hold, and how it is read."""

"""One source takes over one driving motion."""

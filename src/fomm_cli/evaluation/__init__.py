"""Results measured against the truth and against the clock."""

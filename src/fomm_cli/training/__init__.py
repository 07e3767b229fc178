"""From videos to a checkpoint."""

"""Train a checkpoint from videos."""

"""Many pairs of source and driving video, resumable, on one machine or a cluster."""

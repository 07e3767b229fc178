"""Animate many pairs of source and driving video, resumably, on one machine or a cluster."""

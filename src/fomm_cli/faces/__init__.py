"""Faces: found, followed, judged, cut out."""

"""Animate avatars by a camera, frame by frame."""

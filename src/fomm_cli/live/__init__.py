"""Animate avatars by a camera, frame by frame, as it films."""

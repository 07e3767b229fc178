"""List the suffixes of the files that are read and written, in one table."""

from __future__ import annotations

IMAGES_READ = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
"""Images that a folder of frames, or of sources, may hold; a file given by name may be of more kinds."""
VIDEOS_READ = (".mp4", ".gif", ".mov", ".webm", ".avi", ".mkv", ".m4v")
"""Videos that a folder of training or test data may hold; a file given by name may be of any kind FFmpeg reads."""
IMAGES_WRITTEN = (".png", ".jpg", ".jpeg")
VIDEOS_WRITTEN = (".mp4", ".mov", ".webm", ".gif", ".webp")
WITH_ALPHA = (".mov", ".webm", ".gif", ".webp", ".png")
"""What of these can be transparent."""
ALLOWED = "Use .mp4, .mov, .webm, .gif or .webp, a folder or name_%05d.png for frames, .png or .jpg for one image"
"""What to say where a result has another suffix."""

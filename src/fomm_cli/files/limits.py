"""Define limits in bytes, checked before memory is taken: a small file may claim a huge content.

What bounds a size in a config stands with its field in `config/schema.py`.
"""

from __future__ import annotations

TEXT_BYTES = 64 << 20
"""Of a table or manifest: more than half a million pairs."""
CONFIG_BYTES = 1 << 20
"""Of a config, whether it is a file or inside a checkpoint; the published ones have 2 kB."""
YAML_NODES = 1_000_000
"""Keys and values of a YAML file once its aliases are expanded, of which a few bytes can make billions."""

IMAGE_BYTES = 800_000_000
"""That decoding an image and converting it to RGB may take together; with the face detection that is 1.4 GB in all."""
IMAGE_SIDE = 32_768
"""Pixels of the longer side of an image: the filter that shrinks it to the model's size grows with the side."""
VIDEO_PIXELS = 8192 * 8192 // 2
"""Of a video frame: decoders keep a dozen and more of them at a time. 8K video has 33 megapixels, this is as much."""
WEBP_BYTES = 512 << 20
"""Of an animated WebP file, which is held in memory while its frames are decoded."""
WEBP_FRAMES = 100_000
"""Of an animated WebP file: more than an hour at 25 frames per second. A frame of nothing takes 24 bytes."""

TEMPLATE_BYTES = 512 << 20
"""Of the arrays of a motion template, unpacked."""
TEMPLATE_FRAMES = 1_000_000
"""Of a motion template: 11 hours at 25 frames per second."""

PICKLE_BYTES = 16 << 20
"""Of the pickled part of a checkpoint, which holds names and shapes; that of the published ones has 0.2 MB."""

DOWNLOAD_BYTES = 2 << 30
"""Of a download whose size is not in the catalogue; the largest published checkpoint has 729 MB."""

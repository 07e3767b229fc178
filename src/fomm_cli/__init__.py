"""Animate a portrait with the motion of a video: the First Order Motion Model in a terminal."""

from __future__ import annotations

__version__ = "0.1.0"

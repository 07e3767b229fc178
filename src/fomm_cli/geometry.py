"""Compute with rectangles in pixels: x to the right, y down, (0, 0) the upper left corner of the first pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Box:
    """A rectangle with real-valued sides, which may lie partly outside the image."""

    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def around(cls, points: np.ndarray) -> Box:
        """Return the smallest box that holds points (N, 2), x before y."""
        (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
        return cls(float(left), float(top), float(right), float(bottom))

    @property
    def width(self) -> float:
        """Return the distance from left to right."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Return the distance from top to bottom."""
        return self.bottom - self.top

    @property
    def area(self) -> float:
        """Return width times height; 0 for a box with negative sides."""
        return max(0.0, self.width) * max(0.0, self.height)

    @property
    def centre(self) -> tuple[float, float]:
        """Return the middle (x, y)."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def union(self, other: Box) -> Box:
        """Return the smallest box that holds both."""
        return Box(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )

    def intersection(self, other: Box) -> Box:
        """Return the common part of both boxes; its area is 0 where there is none."""
        return Box(
            max(self.left, other.left),
            max(self.top, other.top),
            min(self.right, other.right),
            min(self.bottom, other.bottom),
        )

    def iou(self, other: Box) -> float:
        """Return the intersection over union, 0 to 1."""
        shared = self.intersection(other).area
        whole = self.area + other.area - shared
        return shared / whole if whole > 0 else 0.0

    def towards(self, other: Box, share: float) -> Box:
        """Move every side by a ratio of its distance to the same side of another box."""
        return Box(
            self.left + (other.left - self.left) * share,
            self.top + (other.top - self.top) * share,
            self.right + (other.right - self.right) * share,
            self.bottom + (other.bottom - self.bottom) * share,
        )

    def about_centre(self, factor: float) -> Box:
        """Grow the box about its middle by a factor."""
        x, y = self.centre
        return self.mapped(factor, factor, x * (1 - factor), y * (1 - factor))

    def mapped(self, scale_x: float, scale_y: float, x: float = 0.0, y: float = 0.0) -> Box:
        """Scale every coordinate, then move by (x, y)."""
        return Box(self.left * scale_x + x, self.top * scale_y + y, self.right * scale_x + x, self.bottom * scale_y + y)


@dataclass(frozen=True)
class Region:
    """A rectangle of whole pixels, which may lie partly outside the image; left and top may be negative."""

    left: int
    top: int
    width: int
    height: int

    @classmethod
    def square_around(cls, box: Box) -> Region:
        """Return the square about the middle of a box whose side is the longer one of the box."""
        side = max(1, round(max(box.width, box.height)))
        x, y = box.centre
        return cls(round(x - side / 2), round(y - side / 2), side, side)

    def moved_into(self, frame: Box) -> Region:
        """Move the region inside a frame, and shrink it if it is larger than the frame."""
        width, height = min(self.width, int(frame.width)), min(self.height, int(frame.height))
        left = min(max(self.left, int(frame.left)), int(frame.right) - width)
        top = min(max(self.top, int(frame.top)), int(frame.bottom) - height)
        return Region(left, top, width, height)

    @property
    def right(self) -> int:
        """Return the first column beyond the region."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """Return the first row beyond the region."""
        return self.top + self.height

    @property
    def box(self) -> Box:
        """Return the same rectangle with real-valued sides."""
        return Box(self.left, self.top, self.right, self.bottom)

    def __str__(self) -> str:
        """Return a text such as ``400x400 at (12, -3)``."""
        return f"{self.width}x{self.height} at ({self.left}, {self.top})"

"""Rectangles in images: pixels, x to the right, y down, (0, 0) the upper left corner of the first pixel."""

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
        """The smallest box that holds points (N, 2), x before y."""
        (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
        return cls(float(left), float(top), float(right), float(bottom))

    @property
    def width(self) -> float:
        """From left to right."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """From top to bottom."""
        return self.bottom - self.top

    @property
    def area(self) -> float:
        """Width times height, 0 for a box turned inside out."""
        return max(0.0, self.width) * max(0.0, self.height)

    @property
    def centre(self) -> tuple[float, float]:
        """(x, y) of the middle."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def union(self, other: Box) -> Box:
        """The smallest box that holds both."""
        return Box(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )

    def intersection(self, other: Box) -> Box:
        """What both share, with an area of 0 if they share nothing."""
        return Box(
            max(self.left, other.left),
            max(self.top, other.top),
            min(self.right, other.right),
            min(self.bottom, other.bottom),
        )

    def iou(self, other: Box) -> float:
        """Intersection over union, 0 to 1."""
        shared = self.intersection(other).area
        whole = self.area + other.area - shared
        return shared / whole if whole > 0 else 0.0

    def towards(self, other: Box, share: float) -> Box:
        """Every side moved by a share of its distance to the other box's."""
        return Box(
            self.left + (other.left - self.left) * share,
            self.top + (other.top - self.top) * share,
            self.right + (other.right - self.right) * share,
            self.bottom + (other.bottom - self.bottom) * share,
        )

    def about_centre(self, factor: float) -> Box:
        """Grown about the middle."""
        x, y = self.centre
        return self.mapped(factor, factor, x * (1 - factor), y * (1 - factor))

    def mapped(self, scale_x: float, scale_y: float, x: float = 0.0, y: float = 0.0) -> Box:
        """Every coordinate scaled, then moved by (x, y)."""
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
        """The square about the middle of a box whose side is the longer one of the box."""
        side = max(1, round(max(box.width, box.height)))
        x, y = box.centre
        return cls(round(x - side / 2), round(y - side / 2), side, side)

    def moved_into(self, frame: Box) -> Region:
        """The region moved inside a frame, and made smaller if it is too large for it."""
        width, height = min(self.width, int(frame.width)), min(self.height, int(frame.height))
        left = min(max(self.left, int(frame.left)), int(frame.right) - width)
        top = min(max(self.top, int(frame.top)), int(frame.bottom) - height)
        return Region(left, top, width, height)

    @property
    def right(self) -> int:
        """The first column beyond."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """The first row beyond."""
        return self.top + self.height

    @property
    def box(self) -> Box:
        """The same rectangle with real-valued sides."""
        return Box(self.left, self.top, self.right, self.bottom)

    def __str__(self) -> str:
        """As people write sizes: ``400x400 at (12, -3)``."""
        return f"{self.width}x{self.height} at ({self.left}, {self.top})"

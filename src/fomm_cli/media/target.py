"""What `--result_video` asks for, told by its name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from fomm_cli.errors import InputError
from fomm_cli.media.output import replacing, replacing_frames

VIDEOS = (".mp4", ".mov", ".webm", ".gif")
PICTURES = (".png", ".jpg", ".jpeg")
ALLOWED = "Use .mp4, .mov, .webm or .gif, a folder or name_%05d.png for frames, .png or .jpg for one picture"

_NUMBER = re.compile(r"%0?\d*d")


@dataclass(frozen=True)
class Target:
    """Where a result goes.

    Attributes:
        path: a file, or for frames a pattern such as ``folder/%05d.png``.
        kind: how it is written.
    """

    path: Path
    kind: Literal["video", "picture", "frames"]

    @classmethod
    def of(cls, path: Path | None, *, still: bool, inputs: Sequence[Path]) -> Target:
        """Read a `--result_video` value.

        Args:
            path: the value; None for result.mp4, or result.png where `still`.
            still: whether there is just one picture to write.
            inputs: files that must not be overwritten.

        Raises:
            InputError: a name that says nothing we can write, does not fit what is written, or is an input.
        """
        target = cls._parse(path or Path("result.png" if still else "result.mp4"))
        if target.kind == "picture" and not still:
            raise InputError(f"{target.path} can hold one picture, not a video", ALLOWED)
        if target.kind == "video" and still:
            raise InputError(f"the driving video is one picture, which {target.path} is not for", "Use result.png")
        for given in inputs:
            if target.path.resolve() == given.resolve():
                raise InputError(f"the result would overwrite the input {given}", "Choose another --result_video")
        return target

    @classmethod
    def _parse(cls, path: Path) -> Target:
        suffix = path.suffix.lower()
        if _NUMBER.search(path.name):
            if suffix != ".png":
                raise InputError(f"frames cannot be written as {path.name}", "Use name_%05d.png")
            return cls(path, "frames")
        if path.is_dir() or not suffix:
            if path.exists() and not path.is_dir():
                raise InputError(f"{path} is a file without a suffix, not a folder for frames", ALLOWED)
            return cls(path / "%05d.png", "frames")
        if suffix in VIDEOS:
            return cls(path, "video")
        if suffix in PICTURES:
            return cls(path, "picture")
        raise InputError(f"files of the kind {path.suffix} cannot be written ({path})", ALLOWED)

    def beside(self, name: str) -> Target:
        """A target of the same kind beside this one, with `name` appended to its own."""
        if self.kind == "frames" and self.path.name == "%05d.png":
            folder = self.path.parent
            return replace(self, path=folder.with_name(f"{folder.name}_{name}") / self.path.name)
        return replace(self, path=self.path.with_name(f"{name}_{self.path.name}"))

    @property
    def shown(self) -> Path:
        """The path to tell people."""
        return self.path.parent if self.kind == "frames" and self.path.name == "%05d.png" else self.path

    @contextmanager
    def publishing(self) -> Iterator[Path]:
        """Yield a path or pattern to write to; it takes the target's place when the block succeeds."""
        with replacing_frames(self.path) if self.kind == "frames" else replacing(self.path) as part:
            yield part

"""Tell by the name of a result what kind of file it is, and where it goes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from fomm_cli.errors import InputError
from fomm_cli.files.atomic import check_replaceable, is_frame_pattern, missing_folder, replacing, replacing_frames
from fomm_cli.media.formats import ALLOWED, IMAGES_WRITTEN, VIDEOS_WRITTEN, WITH_ALPHA
from fomm_cli.media.video.writer import unwritable

FOLDER_PATTERN = "%05d.png"


@dataclass(frozen=True)
class Target:
    """The file, or the numbered images, that a result is written to.

    Attributes:
        path: a file, or for frames a pattern such as ``folder/%05d.png``.
        kind: how it is written.
    """

    path: Path
    kind: Literal["video", "image", "frames"]

    @classmethod
    def of(cls, path: Path | None, *, still: bool) -> Target:
        """Read a `--result_video` value.

        Args:
            path: the value; None for result.mp4, or result.png where `still`.
            still: whether there is just one image to write.

        Raises:
            InputError: a name that says nothing we can write, or does not fit what is written.
        """
        target = cls._parse(path or Path("result.png" if still else "result.mp4"))
        if target.kind == "image" and not still:
            raise InputError(f"{target.path} can hold one image, not a video", ALLOWED)
        if target.kind == "video" and still:
            raise InputError(f"the driving video is one image, which {target.path} is not for", "Use result.png")
        if not target._folder.is_dir():
            raise missing_folder(target.shown, target._folder)  # now, not after minutes of work
        if target.kind != "frames":
            check_replaceable(target.path)
        return target

    @classmethod
    def _parse(cls, path: Path) -> Target:
        suffix = path.suffix.lower()
        if str(path) == "-":
            raise InputError("the result cannot be written to the standard output (-)", f"Name a file. {ALLOWED}")
        if str(path) in (".", ".."):
            raise InputError(f"the frames of the result would be scattered in {path.resolve()}", ALLOWED)
        if is_frame_pattern(path):
            if suffix != ".png":
                raise InputError(f"frames cannot be written as {path.name}", "Use name_%05d.png")
            return cls(path, "frames")
        if _is_folder(path) or not suffix:
            if path.exists() and not path.is_dir():
                raise InputError(f"{path} is a file without a suffix, not a folder for frames", ALLOWED)
            return cls(path / FOLDER_PATTERN, "frames")
        if suffix in VIDEOS_WRITTEN:
            return cls(path, "video")
        if suffix in IMAGES_WRITTEN:
            return cls(path, "image")
        raise unwritable(path)

    @property
    def _folder(self) -> Path:
        """Return the folder that has to exist already."""
        folder = self.path.parent
        return folder.parent if self.kind == "frames" and not folder.exists() else folder

    def beside(self, name: str) -> Target:
        """Return a target of the same kind beside this one, with `name` added to its own."""
        if self.shown != self.path:
            folder = self.shown
            return replace(self, path=folder.with_name(f"{folder.name}_{name}") / self.path.name)
        if self.kind == "frames":
            return replace(self, path=self.path.with_name(f"{name}_{self.path.name}"))
        return replace(self, path=self.path.with_stem(f"{self.path.stem}_{name}"))

    @property
    def shown(self) -> Path:
        """Return the path to tell people: the folder rather than the pattern, where they named a folder."""
        return self.path.parent if self.path.name == FOLDER_PATTERN else self.path

    @property
    def holds_alpha(self) -> bool:
        """Return whether what is written there can be transparent."""
        return self.path.suffix.lower() in WITH_ALPHA

    @contextmanager
    def publishing(self) -> Iterator[Path]:
        """Yield a path or pattern to write to; it takes the target's place when the block succeeds."""
        with replacing_frames(self.path) if self.kind == "frames" else replacing(self.path) as part:
            yield part


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError) as error:  # such as a name that is too long
        raise InputError(f"{path} cannot be written: {getattr(error, 'strerror', error)}", "Choose another.") from error

"""A result never takes the place of something that the same command reads."""

import os
from pathlib import Path

import pytest

from fomm_cli.errors import InputError
from fomm_cli.files.guard import protect_inputs


@pytest.fixture
def given(tmp_path: Path) -> Path:
    path = tmp_path / "given.mp4"
    path.write_text("precious")
    return path


def test_other_files_are_fine(given: Path) -> None:
    protect_inputs((given, None, "vox-256"), (given.with_name("result.mp4"), None))


def test_the_same_name(given: Path) -> None:
    with pytest.raises(InputError, match=r"would overwrite the input .*given\.mp4"):
        protect_inputs((given,), (given,))


def test_a_way_round(given: Path) -> None:
    with pytest.raises(InputError, match="would overwrite"):
        protect_inputs((given,), (given.parent / ".." / given.parent.name / given.name,))


@pytest.mark.parametrize("link", [os.symlink, os.link])
@pytest.mark.parametrize("turned", [False, True])
def test_links(given: Path, link: object, turned: bool) -> None:
    other = given.with_name("other.mp4")
    link(given, other)  # type: ignore[operator]
    read, written = (other, given) if turned else (given, other)
    with pytest.raises(InputError, match="would overwrite"):
        protect_inputs((read,), (written,))


def test_names_in_another_case(given: Path) -> None:
    other = given.with_name("GIVEN.mp4")
    if not other.exists():
        other.symlink_to(given)  # as a file system without cases would have it
    with pytest.raises(InputError, match="would overwrite"):
        protect_inputs((given,), (other,))


def test_every_output_counts(given: Path) -> None:
    with pytest.raises(InputError, match="would overwrite"):
        protect_inputs((given,), (given.with_name("result.mp4"), given))


def test_frames_among_the_frames_that_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    (folder / "a.jpg").touch()
    with pytest.raises(InputError, match="would overwrite"):
        protect_inputs((folder,), (folder / "%05d.png",))
    with pytest.raises(InputError, match=r"would overwrite the input .*a\.jpg"):
        protect_inputs((folder,), (folder / "a.jpg",))
    protect_inputs((folder,), (folder / "result.mp4", tmp_path / "%05d.png"))


def test_a_picture_that_is_one_of_the_frames_written(tmp_path: Path) -> None:
    source = tmp_path / "00003.png"
    source.touch()
    with pytest.raises(InputError, match=r"would overwrite the input .*00003\.png"):
        protect_inputs((source,), (tmp_path / "%05d.png",))
    protect_inputs((source,), (tmp_path / "frame%05d.png",))

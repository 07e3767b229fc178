"""Results say what they are, and `fomm verify` reads it, whatever the file went through."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fomm_cli.cli import main
from fomm_cli.files.hashing import sha256_of
from fomm_cli.marks.verify import verify
from fomm_cli.models.bundled import bundled_checkpoint, sample
from fomm_cli.version import __version__
from support.fuzzing.mutations import mutated_bytes
from support.media_helpers import ffmpeg, metadata

CHECKPOINT = sha256_of(bundled_checkpoint())


def animate(result: Path, *options: str) -> Path:
    arguments = ["animate", "--quiet", "--cpu", "--max_frames", "3", "--crop", "none", "-o", str(result), *options]
    assert main(arguments) == 0
    return result


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of the sample: marked, with metadata only, with nothing, and as lossless frames."""
    folder = tmp_path_factory.mktemp("results")
    animate(folder / "all.mp4")
    animate(folder / "metadata.mp4", "--mark", "metadata")
    animate(folder / "none.mp4", "--mark", "none")
    animate(folder / "frames")
    return folder


def stripped(path: Path) -> Path:
    """Encode a video anew, without its metadata, under a name that says nothing."""
    other = path.with_name("upload.mp4")
    ffmpeg("-i", path, "-map_metadata", "-1", "-fflags", "+bitexact", "-crf", "26", other)
    return other


def test_a_marked_result_is_known(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--json", str(results / "all.mp4")]) == 0
    found = json.loads(capsys.readouterr().out)["files"][0]
    assert found["verdict"] == "marked"
    assert found["metadata"] == {"version": __version__, "checkpoint_sha256": CHECKPOINT}
    assert found["invisible"]["payload"]["checkpoint"] == int(CHECKPOINT[:4], 16)
    assert found["invisible"]["false_alarm"] < 1e-6
    assert '"synthetic": true' in metadata(results / "all.mp4").replace("\\", "")


def test_an_encoded_and_renamed_result_is_known(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(stripped(results / "all.mp4"))]) == 0
    told = capsys.readouterr().out
    assert "synthetic: made with fomm" in told
    assert f"invisible mark: fomm {__version__}" in told
    assert "metadata" not in told


def test_metadata_alone_does_not_survive(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(results / "metadata.mp4").invisible is None
    assert main(["verify", str(results / "metadata.mp4")]) == 0
    assert main(["verify", str(stripped(results / "metadata.mp4"))]) == 3
    assert "proves nothing" in capsys.readouterr().out


def test_a_result_without_marks_says_nothing(results: Path) -> None:
    assert main(["verify", str(results / "none.mp4")]) == 3
    assert "fomm" not in metadata(results / "none.mp4")


def test_lossless_frames_keep_their_values(results: Path) -> None:
    animate(results / "bare", "--mark", "none")
    for name in ("00000.png", "00002.png"):
        one, other = (np.asarray(Image.open(results / folder / name)) for folder in ("frames", "bare"))
        assert np.array_equal(one, other)
    assert verify(results / "frames" / "00000.png").metadata is not None


@pytest.mark.parametrize("name", ["still.png", "still.jpg"])
def test_a_still_result_is_marked(name: str, results: Path) -> None:
    assert main(["animate", "-q", "--cpu", "--crop", "none", "-s", str(sample()[0]),
                 "-d", str(results / "frames" / "00002.png"), "-o", str(results / name)]) == 0  # fmt: skip
    Image.fromarray(np.asarray(Image.open(results / name))).save(results / "again.jpg", quality=80)
    found = verify(results / "again.jpg")
    assert found.metadata is None
    assert found.invisible is not None
    assert found.invisible.payload.checkpoint == int(CHECKPOINT[:4], 16)


def test_other_kinds_of_videos_are_marked(results: Path) -> None:
    for name in ("moving.gif", "moving.webm", "moving.webp"):
        found = verify(animate(results / name))
        assert found.metadata is not None, name
        assert found.invisible is not None, name


def test_the_worst_of_several_files_decides(results: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(b"\0\0\0\x18ftypmp42" + bytes(1000))
    marked, bare = str(results / "all.mp4"), str(results / "none.mp4")
    assert main(["verify", marked, bare]) == 3
    assert main(["verify", marked, bare, str(damaged)]) == 2
    assert main(["verify", str(tmp_path / "missing.mp4")]) == 2
    assert main(["verify", str(tmp_path)]) == 2


def test_damaged_files_never_crash(results: Path, tmp_path: Path) -> None:
    """Try a sample; `tests/tools/fuzz_verify.py` makes hundreds."""
    dice = random.Random(0)  # noqa: S311 - damage, not secrets
    originals = (results / "all.mp4", results / "frames" / "00001.png")
    for case in range(25):
        original = originals[case % 2]
        path = tmp_path / f"damaged{original.suffix}"
        path.write_bytes(mutated_bytes(dice, original.read_bytes())[0])
        assert verify(path).verdict in {"marked", "nothing found", "unreadable"}


def test_the_label_is_optional_and_takes_a_text(results: Path) -> None:
    plain = np.asarray(Image.open(results / "frames" / "00000.png"))
    for number, options in enumerate((["--label"], ["--label", "synthetic"])):
        labelled = np.asarray(Image.open(animate(results / f"labelled{number}", *options) / "00000.png"))
        assert not np.array_equal(labelled, plain)
        assert np.array_equal(labelled[:128], plain[:128])

"""Which results a batch plans: from patterns, tables and job files, with names and keys of their own."""

from __future__ import annotations

import shutil
from dataclasses import replace
from fractions import Fraction
from itertools import chain
from pathlib import Path

import pytest

from fomm_cli.animation.options import AnimateJob
from fomm_cli.batch.manifest import cross, csv_pairs, yaml_pairs
from fomm_cli.batch.names import result_names
from fomm_cli.batch.options import BatchJob
from fomm_cli.batch.plan import plan
from fomm_cli.batch.ranges import split_ranges
from fomm_cli.errors import InputError
from support.batch_helpers import make_driving, make_sources


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    make_sources(folder / "faces", 3)
    make_driving(folder / "nod")
    make_driving(folder / "smile[1]")
    return folder


def names(jobs: list[AnimateJob]) -> list[str]:
    return result_names(jobs, [".mp4"] * len(jobs))


def test_patterns_and_folders_give_every_source_with_every_driving_video(media: Path) -> None:
    jobs = cross([str(media / "faces/*.png")], [str(media / "nod"), str(media / "smile[1]")], {"crf": 20})
    assert jobs == cross([str(media / "faces")], [str(media / "nod"), str(media / "smile[1]")], {"crf": 20})
    assert {(job.source_image.name, job.driving_video.name) for job in jobs} == {
        (f"p0{index}.png", driving) for index in range(3) for driving in ("nod", "smile[1]")
    }
    assert {job.crf for job in jobs} == {20}


def test_a_pattern_that_fits_nothing_is_wrong_use(media: Path) -> None:
    with pytest.raises(InputError, match="no file matches"):
        cross([str(media / "*.jpg")], [str(media / "nod")], {})


def test_csv_columns_are_options_and_paths_are_beside_the_file(media: Path) -> None:
    table = media / "pairs.csv"
    table.write_text(
        "\ufeffsource,driving,best_frame,relative,fps,end\n"
        "faces/p00.png,nod,2,false,30000/1001,\n"
        "faces/p01.png,nod,,,,1.5\n\n",
        encoding="utf-8",
    )
    first, second = csv_pairs(table, {"relative": True, "crf": 18})
    assert (first.source_image, first.driving_video) == (media / "faces/p00.png", media / "nod")
    assert (first.best_frame, first.relative, first.fps, first.end) == (2, False, Fraction(30000, 1001), None)
    assert (second.best_frame, second.relative, second.fps, second.end) == (None, True, None, 1.5)
    assert first.crf == second.crf == 18


def test_csv_of_the_original_is_understood(tmp_path: Path) -> None:
    table = tmp_path / "vox256.csv"
    table.write_text("distance,source,driving,frame\n0.1,a.mp4,b.mp4,7\n")
    assert csv_pairs(table, {}) == [AnimateJob(Path("a.mp4"), Path("b.mp4"))]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("source,driving,crf\na,b,1\na,b,many\n", "line 3: crf 'many'"),
        ("source,driving,crf\na,b,99\n", "line 2: invalid --crf 99"),
        ("source,driving,colour\na,b,red\n", "line 2: colour is not an option"),
        ("source,driving\na,b,c\n", "line 2: more values than columns"),
        ("source,driving\na,\n", "line 2: driving_video is missing"),
        ("source,driving,device\na,b,cpu\n", "device is not an option of a pair"),
        ("picture,driving\na,b\n", "needs the columns source and driving"),
        ("source,driving\n", "names no pairs"),
        ("", "is empty"),
    ],
)
def test_csv_mistakes_are_named_with_their_line(text: str, message: str, tmp_path: Path) -> None:
    table = tmp_path / "pairs.csv"
    table.write_text(text)
    with pytest.raises(InputError, match=message):
        csv_pairs(table, {})


def test_job_file_has_patterns_pairs_and_options(media: Path) -> None:
    file = media / "jobs.yaml"
    file.write_text(
        "crf: 20\nsource: faces/*.png\ndriving: [nod]\n"
        "pairs:\n- {source: faces/p00.png, driving: nod, best-frame: 1, crf: 30, result: special.webm}\n"
    )
    jobs = yaml_pairs(file, {"crf": 10, "fit": "crop"})
    assert [job.source_image.name for job in jobs] == ["p00.png", "p01.png", "p02.png", "p00.png"]
    assert [job.crf for job in jobs] == [20, 20, 20, 30]
    assert {job.fit for job in jobs} == {"crop"}
    assert (jobs[3].best_frame, names(jobs)[3]) == (1, "special.webm")


@pytest.mark.parametrize(
    "text", ["- a\n", "pairs: 3\n", "pairs: [{source: a}]\n", "{", "crf: 3\n", "pairs: [{crf: x}]\n"]
)
def test_job_file_mistakes_are_input_errors(text: str, tmp_path: Path) -> None:
    file = tmp_path / "jobs.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=r"jobs\.yaml"):
        yaml_pairs(file, {})


def test_names_join_source_and_driving() -> None:
    jobs = [AnimateJob(Path("x/anna.png"), Path("nod.mp4")), AnimateJob(Path("x/bob.jpg"), Path("nod.mp4"))]
    assert names(jobs) == ["anna--nod.mp4", "bob--nod.mp4"]


def test_names_that_would_collide_are_told_apart_whatever_the_order() -> None:
    jobs = [
        AnimateJob(Path(source), Path(driving), best_frame=best)
        for source, driving, best in [
            ("a.png", "d.mp4", None),
            ("A.jpg", "d.mp4", None),  # the same on a file system that ignores case
            ("x/b.png", "d.mp4", None),
            ("y/b.png", "d.mp4", None),
            ("c.png", "d.mp4", 1),
            ("c.png", "d.mp4", 2),
            ("e--f.png", "g.mp4", None),
            ("e.png", "f--g.mp4", None),
            ("caf\u00e9.png", "d.mp4", None),
            ("cafe\u0301.png", "d.mp4", None),
        ]
    ]
    found = names(jobs)
    assert len({name.casefold() for name in found}) == len(jobs)
    assert found[:2] == ["a.png--d.mp4.mp4", "A.jpg--d.mp4.mp4"]
    assert names([replace(job, device="cpu", threads=1) for job in jobs]) == found
    assert dict(zip(reversed(jobs), names(jobs[::-1]), strict=True)) == dict(zip(jobs, found, strict=True))


@pytest.mark.parametrize("name", ["/x.mp4", "../x.mp4", ".fomm/x.mp4", "x_%05d.png"])
def test_a_result_stays_in_the_folder(name: str) -> None:
    with pytest.raises(InputError, match="not a place in the result folder"):
        names([AnimateJob(Path("a.png"), Path("d.mp4"), Path(name))])


def test_a_linked_sub_folder_does_not_lead_out_of_the_folder(media: Path, tmp_path: Path) -> None:
    out, outside = tmp_path / "out", tmp_path / "outside"
    (out / "real").mkdir(parents=True)
    outside.mkdir()
    (out / "leaving").symlink_to(outside)
    (out / "staying").symlink_to(out / "real")
    jobs = [
        AnimateJob(media / "faces/p00.png", media / "nod", Path(name))
        for name in ("leaving/new/a.mp4", "staying/b.mp4", "c.mp4")
    ]
    problems = [pair.problem for pair in plan(BatchJob(tuple(jobs), out))]
    assert f"leads outside the result folder, to {outside}" in problems[0]
    assert problems[1:] == ["", ""]


def test_long_names_in_any_script_fit_a_file_system() -> None:
    (name,) = names([AnimateJob(Path("漢" * 80 + ".png"), Path("字" * 80 + ".mp4"))])
    assert len(name.encode()) <= 215
    with pytest.raises(InputError, match="too long"):
        names([AnimateJob(Path("a.png"), Path("b.mp4"), Path("漢" * 80 + ".mp4"))])


def test_two_results_of_one_name_are_refused() -> None:
    with pytest.raises(InputError, match=r"two pairs have the result x\.mp4"):
        names([AnimateJob(Path(source), Path("d.mp4"), Path("x.mp4")) for source in ("a.png", "b.png")])


def test_key_follows_content_and_options_not_paths(media: Path, tmp_path: Path) -> None:
    def key(source: Path, driving: Path, **options: object) -> str:
        return plan(BatchJob((AnimateJob(source, driving, **options),), tmp_path))[0].key  # type: ignore[arg-type]

    here = key(media / "faces/p00.png", media / "nod")
    elsewhere = shutil.copytree(media, tmp_path / "copy")
    assert key(elsewhere / "faces/p00.png", elsewhere / "nod") == here
    assert key(elsewhere / "faces/p00.png", elsewhere / "nod", threads=1, device="cpu") == here
    (elsewhere / "nod/0001.png").write_bytes((elsewhere / "nod/0002.png").read_bytes())
    changed = {
        here,
        key(elsewhere / "faces/p00.png", elsewhere / "nod"),
        key(media / "faces/p01.png", media / "nod", result_video=Path("p00--nod.mp4")),
        key(media / "faces/p00.png", media / "nod", crf=20),
        key(media / "faces/p00.png", media / "nod", config="vox-256"),
    }
    assert len(changed) == 5


def test_what_is_wrong_with_one_pair_is_noted_in_it(media: Path, tmp_path: Path) -> None:
    jobs = [AnimateJob(media / "faces" / name, media / "nod") for name in ("p00.png", "missing.png", "p00.png")]
    good, bad = plan(BatchJob(tuple(jobs), tmp_path))
    assert (good.problem, good.frames) == ("", 4)
    assert "missing.png does not exist" in bad.problem
    with pytest.raises(InputError, match=r"none of the 1 pair\(s\) can be done"):
        plan(BatchJob((jobs[1],), tmp_path))


@pytest.mark.parametrize("frames", [None, 1, 50, 127])
def test_short_videos_stay_whole(frames: int | None) -> None:
    assert split_ranges(frames, 8, 1024) == []


@pytest.mark.parametrize(("frames", "shares"), [(128, 2), (1000, 3), (1025, 1), (5000, 4), (100_000, 16)])
def test_ranges_cover_every_frame_once_in_whole_batches(frames: int, shares: int) -> None:
    ranges = split_ranges(frames, shares, 1024)
    assert list(chain(*(range(start, frames if stop is None else stop) for start, stop in ranges))) == list(
        range(frames)
    )
    assert ranges[-1][1] is None
    assert all(start % 32 == 0 for start, _ in ranges)
    assert len(ranges) >= min(shares, frames // 64)
    assert all(stop - start <= 1024 for start, stop in ranges if stop)

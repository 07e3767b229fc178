"""Run the study that docs/study.md reports, and write its figures there.

python docs/study/make.py CLIP CLIP CLIP --stills ../shared/faces/stills [options of fomm study]

Of each driving video 20 frames are taken, spread evenly over it. The contact sheets are written without the driving
videos, whose people appear in no documentation.
"""

from __future__ import annotations

import argparse
import csv
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

from fomm_cli.cli import main
from fomm_cli.media.video.reader import open_clip
from fomm_cli.media.video.writer import open_writer
from fomm_cli.study.claims import Claim, findings
from fomm_cli.study.rows import Study
from fomm_cli.study.views import without_driving

PAGE = Path(__file__).parent.parent / "study.md"
BEGIN, END = "<!-- figures -->", "<!-- /figures -->"
STILLS = 100  # portraits that are compared in equal framings
SERIES = 6  # portraits in all sizes and places, the two of public domain among them
FRAMES = 20  # of each driving video


def portraits(folder: Path) -> list[Path]:
    """Write the two portraits as files."""
    from matplotlib import cbook

    with cbook.get_sample_data("grace_hopper.jpg") as file:
        images = {"collins": np.asarray(data.astronaut()), "hopper": np.asarray(Image.open(file))}
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.png" for name in images]
    for path, image in zip(paths, images.values(), strict=True):
        Image.fromarray(image).save(path)
    return paths


def spread(clip: Path, target: Path) -> Path:
    """Write `FRAMES` frames of a clip, at equal steps, as a driving video."""
    source = open_clip(clip)
    total = sum(1 for _ in source.frames())
    chosen = set(np.linspace(0, total - 1, FRAMES).round().astype(int).tolist())
    target.parent.mkdir(parents=True, exist_ok=True)
    size = (source.info.height, source.info.width)
    with open_writer(target, size, Fraction(5), {}, crf=12) as writer:
        kept = (frame.image for number, frame in enumerate(source.frames()) if number in chosen)
        for number, image in enumerate(kept):
            writer.write(image, Fraction(number, 5))
    return target


def write_docs(study: Path, page: Path) -> None:
    """Put findings, charts and contact sheets of a finished study into the documentation."""
    done = Study.load(study / "study.json")
    found = findings(done)
    images = page.with_suffix("")
    driving = ", ".join(f"{name} ({frames} frames)" for name, frames in done.frames.items())
    lines = [
        f"{len(done.rows)} results; driving videos: {driving}. Models: {', '.join(done.models)}.", "",
        "| the students found | here | figures | portraits |", "|-|-|-|-|",
        *(_row(finding) for finding in found if finding.claim), "",
        *(f"- {finding.text}." for finding in found if not finding.claim), "",
    ]  # fmt: skip
    for chart in sorted((study / "charts").glob("*.png")):
        (images / chart.name).write_bytes(chart.read_bytes())
        lines += [f"![points by {chart.stem}]({images.name}/{chart.name})", ""]
    for group in ("place", "size"):
        for sheet in sorted((study / "sheets").glob(f"{group}*.png"))[:1]:  # of the first driving video
            name = f"sheet-{group}.jpg"
            Image.fromarray(without_driving(np.asarray(Image.open(sheet)))).reduce(2).save(images / name, quality=85)
            lines += [f"![frames by {group}]({images.name}/{name})", ""]
    text = page.read_text(encoding="utf-8")
    before, after = text[: text.index(BEGIN) + len(BEGIN)], text[text.index(END) :]
    page.write_text("\n".join([before, *lines, after]), encoding="utf-8")


def _row(finding: Claim) -> str:
    return f"| {finding.claim} | **{finding.verdict}** | {finding.text} | {finding.samples} |"


def run() -> int:
    """Run the study, then write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("driving_videos", nargs="+", type=Path)
    parser.add_argument("--stills", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("result-study"))
    own, passed_on = parser.parse_known_args()
    stills = sorted(own.stills.glob("*.jpg"))
    stills = stills[:: len(stills) // STILLS][:STILLS]
    sources = [*portraits(own.out / "portraits"), *stills[: SERIES - 2]]
    kinds = own.out / "kinds.csv"
    with kinds.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("kind", "image"), *(("person", path.resolve()) for path in stills)])
    command = ["study", "-o", str(own.out), "--kind", str(kinds)]
    for path in sources:
        command += ["-s", str(path)]
    for path in own.driving_videos:
        command += ["-d", str(spread(path, own.out / "driving" / f"{path.stem}.mp4"))]
    code = main([*command, *passed_on])
    if code == 0:
        write_docs(own.out, PAGE)
    return code


if __name__ == "__main__":
    sys.exit(run())

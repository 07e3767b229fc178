"""Run the study that docs/study.md reports, and write its figures there.

python docs/study/make.py ../shared/faces/train/id0058_02.mp4 --stills ../shared/faces/stills [options of fomm study]

The contact sheets are written without the driving video, whose people appear in no documentation.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

from fomm_cli.cli import main
from fomm_cli.study.claims import Claim, findings
from fomm_cli.study.rows import Study
from fomm_cli.study.views import without_driving

PAGE = Path(__file__).parent.parent / "study.md"
BEGIN, END = "<!-- figures -->", "<!-- /figures -->"
STILLS = 10


def portraits(folder: Path) -> list[Path]:
    """The two portraits as files."""
    from matplotlib import cbook

    with cbook.get_sample_data("grace_hopper.jpg") as file:
        images = {"collins": np.asarray(data.astronaut()), "hopper": np.asarray(Image.open(file))}
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.png" for name in images]
    for path, image in zip(paths, images.values(), strict=True):
        Image.fromarray(image).save(path)
    return paths


def write_docs(study: Path, page: Path) -> None:
    """Put findings, charts and contact sheets of a finished study into the documentation."""
    done = Study.load(study / "study.json")
    found = findings(done)
    images = page.with_suffix("")
    lines = [
        f"Driving video: {done.driving}, {done.frames} frames. Models: {', '.join(done.models)}.", "",
        "| the students found | here | figures | samples |", "|-|-|-|-|",
        *(_row(finding) for finding in found if finding.claim), "",
        *(f"- {finding.text}." for finding in found if not finding.claim), "",
    ]  # fmt: skip
    for chart in sorted((study / "charts").glob("*.png")):
        (images / chart.name).write_bytes(chart.read_bytes())
        lines += [f"![points by {chart.stem}]({images.name}/{chart.name})", ""]
    for sheet in sorted((study / "sheets").glob("*.png")):
        if not sheet.stem.startswith("kind"):
            shown = without_driving(np.asarray(Image.open(sheet)))
            name = f"sheet-{sheet.stem}.jpg"
            Image.fromarray(shown).reduce(2).save(images / name, quality=85)
            lines += [f"![frames by {sheet.stem}]({images.name}/{name})", ""]
    text = page.read_text(encoding="utf-8")
    before, after = text[: text.index(BEGIN) + len(BEGIN)], text[text.index(END) :]
    page.write_text("\n".join([before, *lines, after]), encoding="utf-8")


def _row(finding: Claim) -> str:
    return f"| {finding.claim} | **{finding.verdict}** | {finding.text} | {finding.samples} |"


def run() -> int:
    """Run the study, then write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("driving_video")
    parser.add_argument("--stills", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("result-study"))
    own, passed_on = parser.parse_known_args()
    sources = portraits(own.out / "portraits")
    kinds = own.out / "kinds.csv"
    stills = sorted(own.stills.glob("*.jpg"))
    with kinds.open("w", encoding="utf-8", newline="") as file:
        chosen = [("person", path.resolve()) for path in stills[:: len(stills) // STILLS][:STILLS]]
        csv.writer(file).writerows([("kind", "picture"), *chosen])
    command = ["study", "-s", *map(str, sources), "-d", own.driving_video, "-o", str(own.out), "--kind", str(kinds)]
    code = main([*command, *passed_on])
    if code == 0:
        write_docs(own.out, PAGE)
    return code


if __name__ == "__main__":
    sys.exit(run())

"""Train the bundled model further for a fixed time, compare it with the weights before, and pack it.

python recipes/mini-256/train_everything.py .faces work --minutes 25 --device cuda --pairs 32

`.faces` is the folder that pack_training.py wrote. Into `work` go the landmarks (kept for the next time), the training,
which goes on where it was interrupted, figures.json, sheet.png and mini-256.safetensors. Whether the new weights take
the place of the old ones is for a person to decide, who looks at figures and sheet. Needs mediapipe.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import collect
import measure
import teach_flow
import teach_windows
import widen

from fomm_cli import cli

HERE = Path(__file__).resolve().parent
FLOW = 0.6  # share of the time in which keypoints and flow are taught, before anything is decoded
START = HERE.parent.parent / "checkpoints" / "mini-256-training.safetensors"


def main(argv: Sequence[str] | None = None) -> None:
    """Run the stages one after another; each leaves out what is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that pack_training.py wrote")
    parser.add_argument("work", type=Path, help="folder to write")
    parser.add_argument("--checkpoint", type=Path, default=START, help="to start from")
    parser.add_argument("--minutes", type=float, default=25, help="of training")
    parser.add_argument("--pairs", type=int, default=4, help="of frames in a step")
    parser.add_argument("--people", type=int, default=12, help="to measure on")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args(argv)
    work, perceptual = options.work, options.data / "perceptual.safetensors"
    cache, wider, flow = work / "cache", work / "wider.pth.tar", work / "flow.pth.tar"
    model = work / "round" / "model.pth.tar"
    work.mkdir(parents=True, exist_ok=True)
    if not (cache / "faces.npz").exists():
        collect.main(_words(options.data, cache))
    if not wider.exists():
        widen.main(_words(options.checkpoint, HERE / "second-round.yaml", wider))
    device = ("--device", options.device)
    if not flow.exists():
        unfinished = work / "unfinished.pth.tar"
        teach_flow.main(_words(cache, wider, unfinished, "--minutes", FLOW * options.minutes, *device))
        unfinished.replace(flow)
    training = ("--minutes", (1 - FLOW) * options.minutes, "--pairs", options.pairs, *device)
    teach_windows.main(_words(cache, perceptual, flow, work / "round", *training))
    results = ("--people", options.people, "--json", work / "figures.json", "--sheet", work / "sheet.png")
    measure.main(_words(cache, perceptual, options.checkpoint, model, *results))
    code = cli.main(_words("convert", model, work / "mini-256.safetensors", "--half"))
    if code:
        raise SystemExit(code)


def _words(*arguments: object) -> list[str]:
    return list(map(str, arguments))


if __name__ == "__main__":
    main()

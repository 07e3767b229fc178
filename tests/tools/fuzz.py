"""Feed the command line mutated files and hostile values, and report every case that breaks its contract.

    python tests/tools/fuzz.py --cases 1000 --seed 7 [--kind images,options] [--only 12] [--keep FOLDER]

The contract: an exit code that is documented, one line that names the culprit, no traceback, nothing left behind, no
input changed, results whole, 1.5 GB of memory at most, and an end. Prints a line for each broken case and the sums;
the exit code is 1 if there is one. `--only N` with a `--kind` runs one case again; `--keep` leaves its files.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shlex
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.fuzzing.trial import Kind


def main() -> int:
    """Run the cases that the command line asks for."""
    options = _options()
    if not hasattr(os, "fork") or not Path("/proc/self/statm").exists():
        sys.exit("this needs fork and /proc, as Linux has them")
    from support.fuzzing.running import set_up

    set_up()
    kinds = _kinds(options.kind.split(",") if options.kind else [])
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        work = Path(options.keep or place)
        broken = sum([_run_kind(kind, _count(kind, kinds, options.cases), options, work / kind.name) for kind in kinds])
    return int(broken > 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=200, help="how many in all")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--kind", help="names with commas between them; all by default")
    parser.add_argument("--only", type=int, help="run this case alone")
    parser.add_argument("--keep", help="a new folder for the files of the cases")
    parser.add_argument("--report", type=Path, help="write the broken cases there, too, as lines of JSON")
    return parser.parse_args()


def _kinds(names: list[str]) -> list[Kind]:
    from support.fuzzing import media_kinds, model_kinds, table_kinds

    kinds: list[Kind] = [
        media_kinds.Images(), media_kinds.Videos(), model_kinds.Templates(), model_kinds.Checkpoints(),
        model_kinds.Configs(), table_kinds.Manifests(), table_kinds.Journals(), table_kinds.Studies(),
        model_kinds.Trainings(), table_kinds.Options(), model_kinds.Caches(),
    ]  # fmt: skip
    if unknown := set(names) - {kind.name for kind in kinds}:
        sys.exit(f"there is no kind {', '.join(sorted(unknown))}: {', '.join(kind.name for kind in kinds)}")
    return [kind for kind in kinds if kind.name in names or not names]


def _count(kind: Kind, kinds: list[Kind], cases: int) -> int:
    """Return the number of cases of a kind, at least one."""
    return max(1, round(cases * kind.weight / sum(each.weight for each in kinds)))


def _run_kind(kind: Kind, count: int, options: argparse.Namespace, work: Path) -> int:
    """Run the cases of a kind; returns how many are broken."""
    from support.fuzzing.running import try_out, warm_up

    began = time.monotonic()
    originals = work / "originals" / "case"
    originals.mkdir(parents=True)
    failures = warm_up((trial, originals) for trial in kind.prepare(originals))
    for failure in failures:
        _say(f"{kind.name}: a sound run fails: {failure}")
    shutil.rmtree(originals / "tmp", ignore_errors=True)
    broken, slowest, peak = len(failures), 0.0, 0
    for index in range(count) if options.only is None else [options.only]:
        folder = work / str(index) / "case"
        folder.mkdir(parents=True)
        dice = random.Random(f"{options.seed}:{kind.name}:{index}")  # noqa: S311
        trial = kind.trial(dice, folder)
        verdict = try_out(trial, folder)
        slowest, peak = max(slowest, verdict.outcome.cpu), max(peak, verdict.outcome.peak)
        if verdict.broken or options.only is not None:
            broken += bool(verdict.broken)
            _report(kind.name, index, trial, verdict, options)
        if options.keep is None:
            shutil.rmtree(work / str(index))
    seconds = time.monotonic() - began
    _say(f"{kind.name}: {broken} of {count} broken, {seconds:.0f} s, slowest {slowest:.1f} s, peak {peak >> 20} MB")
    return broken


def _report(kind: str, index: int, trial: object, verdict: object, options: argparse.Namespace) -> None:
    outcome = verdict.outcome
    command = shlex.join(["fomm", *trial.arguments])
    last = outcome.stderr.strip().rpartition("\n")[2]
    _say(f"{kind} {index}: {'; '.join(verdict.broken) or 'sound'}\n    {trial.what[:200]}\n    {command[:400]}\n"
         f"    -> {outcome.code}, {outcome.cpu:.1f} s, {outcome.peak >> 20} MB: {last[:300]}")  # fmt: skip
    if options.report is not None:
        line = {"kind": kind, "seed": options.seed, "index": index, "broken": verdict.broken, "what": trial.what[:300],
                "command": command[:1000], "code": outcome.code, "message": last[:400], "cpu": outcome.cpu,
                "mb": outcome.peak >> 20}  # fmt: skip
        with options.report.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def _say(text: str) -> None:
    sys.stdout.write(text.encode(errors="backslashreplace").decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

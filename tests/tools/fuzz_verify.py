"""Damage marked files in many ways and make sure that `fomm verify` never crashes or hangs.

python tests/tools/fuzz_verify.py FILE... [--cases 500] [--seed 0]
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from fomm_cli.marks.verify import verify

SLOW = 60  # seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)  # noqa: S311 - damage, not secrets
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for case in range(options.cases):
            original = options.files[case % len(options.files)]
            path = Path(folder) / f"case{original.suffix}"
            path.write_bytes(damaged(original.read_bytes(), rng))
            began = time.monotonic()
            outcomes[verify(path).verdict] += 1
            if time.monotonic() - began > SLOW:
                sys.stderr.write(f"case {case} took {time.monotonic() - began:.0f} s\n")
                return 1
    sys.stdout.write(f"{options.cases} cases: {dict(outcomes)}\n")
    return 0


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Cut a file off, turn bytes over, or move a piece, mostly near its headers."""
    kind = rng.choice(("cut", "bytes", "bytes", "piece", "zeros"))
    if kind == "cut":
        return content[: rng.randrange(1, len(content))]
    changed = bytearray(content)
    reach = len(content) if rng.random() < 0.5 else min(2000, len(content))
    if kind == "bytes":
        for _ in range(rng.randrange(1, 200)):
            changed[rng.randrange(reach)] = rng.randrange(256)
        return bytes(changed)
    start, length = rng.randrange(reach), rng.randrange(1, 400)
    piece = bytes(length) if kind == "zeros" else content[rng.randrange(len(content)) :][:length]
    changed[start : start + length] = piece
    return bytes(changed)


if __name__ == "__main__":
    raise SystemExit(main())

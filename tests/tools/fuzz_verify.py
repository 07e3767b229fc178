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

sys.path.insert(0, str(Path(__file__).parents[1]))

from fomm_cli.marks.verify import verify
from support.fuzzing.mutations import mutated_bytes

SLOW = 60  # seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    dice = random.Random(options.seed)  # noqa: S311 - damage, not secrets
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for case in range(options.cases):
            original = options.files[case % len(options.files)]
            path = Path(folder) / f"case{original.suffix}"
            damaged, how = mutated_bytes(dice, original.read_bytes())
            path.write_bytes(damaged)
            began = time.monotonic()
            outcomes[verify(path).verdict] += 1
            if time.monotonic() - began > SLOW:
                sys.stderr.write(f"case {case} ({how}) took {time.monotonic() - began:.0f} s\n")
                return 1
    sys.stdout.write(f"{options.cases} cases: {dict(outcomes)}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

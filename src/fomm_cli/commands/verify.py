"""`fomm verify`."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING

from fomm_cli.commands.shared import Commands, add_command, as_json, print_result
from fomm_cli.marks.options import VerifyJob
from fomm_cli.options import from_namespace

if TYPE_CHECKING:
    from fomm_cli.marks.credentials import Credentials
    from fomm_cli.marks.detect import Reading
    from fomm_cli.marks.verify import Verdict

EXIT_UNREADABLE, EXIT_NOTHING_FOUND = 2, 3
_RAREST = 1e-30  # chance of a false alarm that is told
_NOTHING = "no mark was found, which proves nothing: marks can be removed, and other tools leave none or others"


def add_to(commands: Commands) -> None:
    """Add the command."""
    text = "Tell whether videos and images are marked as synthetic. Exit code: 0 marked, 3 nothing found, 2 unreadable."
    add_command(commands, "verify", text, _run, VerifyJob)


def _run(options: argparse.Namespace) -> int:
    job = from_namespace(VerifyJob, options)

    from fomm_cli.marks.verify import verify

    verdicts = [verify(path) for path in job.files]
    print_result(options, {"files": [as_json(verdict) for verdict in verdicts]}, "\n".join(map(_report, verdicts)))
    found = {verdict.verdict for verdict in verdicts}
    if "unreadable" in found:
        return EXIT_UNREADABLE
    return EXIT_NOTHING_FOUND if "nothing found" in found else 0


def _report(verdict: Verdict) -> str:
    if verdict.verdict == "unreadable":
        return f"{verdict.path}: unreadable. {verdict.problem}"
    lines = [f"{verdict.path}: {f'synthetic: made with {_tool(verdict)}' if verdict.verdict == 'marked' else _NOTHING}"]
    if origin := verdict.metadata:
        lines.append(f"  metadata: fomm {origin.version}, checkpoint {origin.checkpoint_sha256[:16]}")
    if verdict.credentials:
        lines.append(f"  Content Credentials: {_credentials(verdict.credentials)}")
    if verdict.invisible:
        lines.append(f"  invisible mark: {_mark(verdict.invisible)}")
    if verdict.problem:
        lines.append(f"  invisible mark: not looked for. {verdict.problem}")
    return "\n".join(lines)


def _credentials(found: Credentials) -> str:
    state = "valid" if found.valid else f"not valid ({', '.join(found.problems)})"
    trust = "" if found.trusted or not found.valid else ", signer not on a trust list"
    return f"{state}{trust}; by {found.tool}, signed by {found.signer}"


def _mark(found: Reading) -> str:
    cropped = "" if found.shown == (1, 1) else ", in a cropped frame"
    rarity = math.ceil(math.log10(max(found.false_alarm, _RAREST)))
    checkpoint = f"checkpoint {found.payload.checkpoint:04x}..."
    return f"fomm {found.payload}, {checkpoint}{cropped}; chance of a false alarm below 1e{rarity}"


def _tool(verdict: Verdict) -> str:
    """Return what made the file; the mark of another tool can only be its Content Credentials."""
    if verdict.metadata or verdict.invisible or not verdict.credentials:
        return "fomm"
    return verdict.credentials.tool or "another tool"

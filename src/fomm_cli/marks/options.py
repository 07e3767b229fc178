"""Options that choose how a result is marked as synthetic, and those of `fomm verify`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from fomm_cli.options import Option, check_bounds

_GROUP = "marks"
LABEL = "AI-generated"

Mark = Annotated[
    Literal["all", "metadata", "none"],
    Option("how the result is marked as synthetic: all adds an invisible mark to the metadata", group=_GROUP),
]
Label = Annotated[
    str | None,
    Option(f"draw a small visible label in a corner (text: {LABEL})", bare=LABEL, metavar="TEXT", group=_GROUP),
]
C2pa = Annotated[
    bool, Option("sign the result with Content Credentials (pip install c2pa-python cryptography)", group=_GROUP)
]
C2paCert = Annotated[
    Path | None,
    Option("certificate chain for --c2pa, PEM (default: one of this machine)", metavar="FILE", group=_GROUP),
]
C2paKey = Annotated[Path | None, Option("private key for --c2pa, PEM", metavar="FILE", group=_GROUP)]


@dataclass(frozen=True)
class VerifyJob:
    """Look for the marks of synthetic media in files."""

    files: Annotated[tuple[Path, ...], Option("videos and images", metavar="FILE", positional=True)]

    def __post_init__(self) -> None:
        """Validate the options."""
        check_bounds(self)

"""The named motions of the package, as the page offers them."""

from __future__ import annotations


def named_motions() -> dict[str, str]:
    """Return what each motion of the package shows, by its name; none where it has none."""
    return {}

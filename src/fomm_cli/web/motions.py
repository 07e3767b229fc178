"""The named motions of the package, as the page offers them."""

from __future__ import annotations


def named_motions() -> dict[str, str]:
    """Return what each motion of the package shows, by its name."""
    from fomm_cli.animation.motions import MOTIONS

    return {name: motion.about for name, motion in MOTIONS.items()}

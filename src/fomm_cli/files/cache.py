"""Locate the cache folder of downloads, and remember which hints were given."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder of downloaded files: FOMM_HOME, or else `fomm` in the platform's cache folder."""
    if home := os.environ.get("FOMM_HOME"):
        return Path(home)
    if caches := os.environ.get("XDG_CACHE_HOME"):
        return Path(caches) / "fomm"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "fomm"
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "fomm"


def once_a_day(name: str) -> bool:
    """Return whether a hint has not been given in the last 24 hours, and remember that it is given now.

    Where nothing can be remembered the answer is True.
    """
    mark = cache_folder() / f"{name}.said"
    with suppress(OSError):
        if time.time() - mark.stat().st_mtime < 24 * 3600:
            return False
    with suppress(OSError):
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    return True

"""Where downloaded files are kept."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """Where downloaded files are kept: FOMM_HOME, or else `fomm` in the platform's cache folder."""
    if home := os.environ.get("FOMM_HOME"):
        return Path(home)
    if caches := os.environ.get("XDG_CACHE_HOME"):
        return Path(caches) / "fomm"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "fomm"
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "fomm"

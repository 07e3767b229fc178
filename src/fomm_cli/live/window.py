"""Show frames and text in the window of `fomm live`, and tell which key was pressed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence

import numpy as np

from fomm_cli.errors import FommError, InputError

TITLE = "fomm live"

_SIDE = 512  # pixels, that small frames are enlarged to
_LINE = 18  # pixels
_NO_WINDOW = "Use --output mjpeg or --output FILE, or your browser: fomm web"


def check_window() -> None:
    """Raise an error where no window can be opened: OpenCV without windows, or no display."""
    import cv2

    if re.search(r"^\s*GUI:\s*NONE", cv2.getBuildInformation(), re.MULTILINE):
        raise InputError(
            "this OpenCV is built without windows (opencv-python-headless)",
            f"Type: pip uninstall opencv-python-headless, then pip install opencv-python. {_NO_WINDOW}",
        )
    if sys.platform != "linux":
        return
    if not os.environ.get("DISPLAY") and not os.environ.get("WAYLAND_DISPLAY"):
        raise InputError("there is no display to open a window on", _NO_WINDOW)
    # Qt ends the whole process where the display does not answer, so another one tries first
    script = "import cv2; cv2.namedWindow('fomm'); cv2.waitKey(1)"
    tried = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60, check=False)  # noqa: S603
    if tried.returncode != 0:
        raise InputError("no window can be opened on this display", _NO_WINDOW)


class Window:
    """A window with the animated frames."""

    def __init__(self) -> None:
        """Open it."""
        import cv2

        os.environ.setdefault("QT_LOGGING_RULES", "*=false")  # Qt complains of fonts that it does not need
        self._shown = False
        try:
            cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
            cv2.resizeWindow(TITLE, _SIDE, _SIDE)
        except cv2.error as error:
            raise FommError("no window can be opened here", _NO_WINDOW) from error
        self.show(np.zeros((_SIDE, _SIDE, 3), np.uint8), ["loading the model and opening the camera ..."])
        self.key()

    def show(self, image: np.ndarray, lines: Sequence[str]) -> None:
        """Show a frame, uint8 (H, W, 3) RGB, with lines of text over it."""
        import cv2

        scale = max(1, round(_SIDE / image.shape[0]))
        shown = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        cv2.imshow(TITLE, cv2.cvtColor(with_text(shown, lines), cv2.COLOR_RGB2BGR))
        self._shown = True

    def key(self) -> str | None:
        """Return the key that was pressed, in lower case, ``q`` for a window that was closed; None for none."""
        import cv2

        code = cv2.waitKey(1)
        if self._shown and cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) < 1:
            return "q"
        return None if code < 0 else chr(code & 0xFF).lower()

    def close(self) -> None:
        """Close it."""
        import cv2

        cv2.destroyAllWindows()


def with_text(image: np.ndarray, lines: Sequence[str]) -> np.ndarray:
    """Return an image, uint8 (H, W, 3), with lines of white text on a darkened ground; itself without lines."""
    import cv2

    if not lines:
        return image
    drawn = image.copy()
    bottom = min(len(drawn), _LINE * len(lines) + 10)
    drawn[:bottom] //= 3
    for number, line in enumerate(lines, start=1):
        place = (8, _LINE * number + 2)
        cv2.putText(drawn, line, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
    return drawn

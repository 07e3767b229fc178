"""`fomm live`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from fomm_cli.commands.shared import Commands, add_command, as_json, plural, print_result
from fomm_cli.commands.terminal import progress_bar
from fomm_cli.live.options import LiveJob
from fomm_cli.options import from_namespace

if TYPE_CHECKING:
    from fomm_cli.live.figures import Figures
    from fomm_cli.live.window import Window


def add_to(commands: Commands) -> None:
    """Add the command."""
    text = "Animate an image with the motion of your face in front of a camera, as you move."
    parser = add_command(commands, "live", text, _run, LiveJob)
    parser.add_argument("--list_cameras", action="store_true", help="print the cameras of this machine, and end")


def _run(options: argparse.Namespace) -> None:
    if options.list_cameras:
        _print_cameras(options)
        return
    job = from_namespace(LiveJob, options)
    window = _open_window() if job.output == "window" else None

    from fomm_cli.live.run import run_live
    from fomm_cli.models.download import with_checkpoint_file
    from fomm_cli.runtime.signals import stop_requests

    with progress_bar(shown=not options.quiet) as progress:
        job = with_checkpoint_file(job, progress)
    with stop_requests() as stop:
        figures = run_live(job, lambda: bool(stop), window)
    print_result(options, as_json(figures), _last_line(figures))


def _open_window() -> Window:
    """Open the window before PyAV is imported, whose X11 libraries make OpenCV's window wait for ever."""
    from fomm_cli.live.window import Window, check_window

    check_window()
    return Window()


def _print_cameras(options: argparse.Namespace) -> None:
    from fomm_cli.live.devices import list_cameras

    cameras = list_cameras()
    lines = [f"{camera.number}  {camera.name}" for camera in cameras]
    text = "\n".join(lines) or "no camera found; a number such as --camera 0 may work nevertheless, or use fomm web"
    print_result(options, {"cameras": [as_json(camera) for camera in cameras]}, text)


def _last_line(figures: Figures) -> str:
    return (
        f"{plural(figures.frames, 'frame')} in {figures.seconds:.1f} s ({figures.frames_per_second:.1f} frames/s), "
        f"{figures.dropped} dropped, delay {figures.delay_ms['median']:.0f} ms "
        f"(95 % of the frames: {figures.delay_ms['p95']:.0f} ms or less)"
    )

"""`fomm motion`."""

from __future__ import annotations

import argparse

from fomm_cli.animation.options import ExtractJob
from fomm_cli.commands.shared import Commands, add_command, as_json, plural, print_result
from fomm_cli.commands.terminal import progress_bar
from fomm_cli.options import from_namespace


def add_to(commands: Commands) -> None:
    """Add the command."""
    text = "Save the motion of a video, to drive images without it."
    parser = commands.add_parser("motion", help=text, description=text, allow_abbrev=False)
    parser.set_defaults(parser=parser)
    actions = parser.add_subparsers(title="actions", metavar="ACTION")
    text = "Save the motion of a video as a small .npz, a motion template."
    add_command(actions, "extract", text, _run, ExtractJob)
    text = "List the motions of the package, which --driving_video takes by name."
    add_command(actions, "list", text, _list)


def _list(options: argparse.Namespace) -> None:
    from fomm_cli.animation.motions import MOTIONS

    listed = {name: {"about": motion.about, "seconds": motion.seconds} for name, motion in MOTIONS.items()}
    lines = [f"{name:12} {motion.seconds:4.1f} s  {motion.about}" for name, motion in MOTIONS.items()]
    print_result(options, {"motions": listed}, "\n".join(lines))


def _run(options: argparse.Namespace) -> None:
    job = from_namespace(ExtractJob, options)

    from fomm_cli.animation.extract import extract

    with progress_bar(shown=not options.quiet) as progress:
        result = extract(job, progress)
    size = f"the motion of {plural(result.frames, 'frame')} in {result.size / 1000:.0f} kB"
    print_result(options, as_json(result), f"{result.path}: {size}; use it as --driving_video")

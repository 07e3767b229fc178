"""`fomm web`."""

from __future__ import annotations

import argparse
import logging
import sys

from fomm_cli.commands.shared import Commands, add_command
from fomm_cli.commands.terminal import write_line
from fomm_cli.extras import require
from fomm_cli.options import from_namespace
from fomm_cli.web.options import WebJob

logger = logging.getLogger(__name__)

EXIT_INTERRUPTED = 130


def add_to(commands: Commands) -> None:
    """Add the command."""
    text = "Serve a web page on this machine: animate in the browser, or live with a webcam."
    add_command(commands, "web", text, _run, WebJob, json_flag=False)


def _run(options: argparse.Namespace) -> int:
    job = from_namespace(WebJob, options)
    require("web")

    from fomm_cli.web.server import serve

    try:
        serve(job, _announce)
    except KeyboardInterrupt:
        logger.info("ended; uploads and results of the page are removed")
        return EXIT_INTERRUPTED
    return 0


def _announce(address: str) -> None:
    write_line(sys.stdout, address)
    sys.stdout.flush()
    logger.info("open this address in a browser; Ctrl-C ends it, and removes uploads and results")

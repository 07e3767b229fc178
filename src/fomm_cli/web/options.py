"""Options of `fomm web`."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fomm_cli.errors import InputError
from fomm_cli.options import Option, check_bounds

DEFAULT_PORT = 8765


@dataclass(frozen=True)
class WebJob:
    """Serve a web page on this machine."""

    port: Annotated[
        int | None,
        Option("port of the page (default: 8765, or the next free one)", metavar="N", low=0, high=65535),
    ] = None
    no_browser: Annotated[bool, Option("only print the address, do not open it in the browser")] = False
    host: Annotated[
        str, Option("address to listen on (default: 127.0.0.1, for this machine only)", group="other machines")
    ] = "127.0.0.1"
    cert: Annotated[Path | None, Option("certificate for TLS, as PEM", metavar="FILE", group="other machines")] = None
    key: Annotated[
        Path | None, Option("private key of the certificate, as PEM", metavar="FILE", group="other machines")
    ] = None
    insecure: Annotated[bool, Option("serve other machines without TLS", group="other machines")] = False

    def __post_init__(self) -> None:
        """Validate the options; raise InputError on an impossible or unsafe combination."""
        check_bounds(self)
        if self.key is not None and self.cert is None:
            raise InputError("--key needs --cert", "Give both")
        for flag, path in (("--cert", self.cert), ("--key", self.key)):
            if path is not None and not path.is_file():
                raise InputError(f"there is no file {path} ({flag})", "Check the path")
        if not is_loopback(self.host) and self.cert is None and not self.insecure:
            raise InputError(
                f"--host {self.host} lets other machines in, and everything would travel unencrypted",
                "Give --cert and --key; or leave --host out and reach this machine by ssh -L 8765:127.0.0.1:8765; "
                "or take the risk with --insecure",
            )


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address."""
    return host == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)


def is_address(name: str) -> bool:
    """Tell whether a host is given by its number."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True

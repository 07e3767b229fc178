"""Render HTML pages from the templates in assets/; every value is escaped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markupsafe import Markup

TEMPLATES = Path(__file__).resolve().parent.parent / "assets"


def render_page(template: str, **values: object) -> str:
    """Fill a template of assets/; values are escaped unless they are Markup."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template(template).render(**values)


def data_address(kind: str, content: bytes) -> Markup:
    """Return a data: address that carries a file inside the page.

    Args:
        kind: media type, such as video/webm.
        content: of the file.
    """
    import base64

    from markupsafe import Markup

    return Markup(f"data:{kind};base64,{base64.b64encode(content).decode()}")  # noqa: S704 - base64 needs no escaping

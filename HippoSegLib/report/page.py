"""The page as HTML: one file with everything in it, which no text can break out of."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Literal

from .. import __version__
from ..dependencies import require
from .content import Page
from .curves import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH

_TEMPLATE = "page.html"
#: Paper that the page is made for -> its size in CSS. "any" leaves it to whoever prints.
PAPERS = {"any": "", "a4": "A4", "letter": "letter"}
#: The drawings' size and the edges of what is drawn in.
_FRAME = {
    "width": WIDTH,
    "height": HEIGHT,
    "left": LEFT,
    "right": WIDTH - RIGHT,
    "top": TOP,
    "bottom": HEIGHT - BOTTOM,
}
Paper = Literal["any", "a4", "letter"]


def html(page: Page, paper: Paper = "any") -> str:
    """The page as a text.

    Args:
        page: What stands on it.
        paper: What it is printed on.

    Raises:
        DependencyError: Jinja2 is missing.
    """
    jinja2 = require("jinja2")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    picture = base64.b64encode(page.picture.data).decode("ascii")
    template = environment.get_template(_TEMPLATE)
    return template.render(page=page, picture=picture, paper=PAPERS[paper], frame=_FRAME, version=__version__)

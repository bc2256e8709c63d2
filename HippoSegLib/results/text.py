"""Text on a picture with nothing but Pillow and the font it brings (Latin letters only)."""

from __future__ import annotations

import unicodedata

#: What Pillow's own font lacks or decomposition does not give.
_SUBSTITUTES = str.maketrans(
    {"–": "-", "—": "-", "−": "-", "×": "x", "±": "+/-", "’": "'", "ß": "ss", "ø": "o", "æ": "ae"}
)


def text(draw, where, words: str, size: int, color, anchor: str = "la", outline: bool = False) -> None:
    """Draw ``words`` at ``where`` (x, y); ``anchor`` as Pillow's, ``outline`` in black for use on images."""
    x, y = where
    style = {"fill": color, "stroke_width": 2 if outline else 0, "stroke_fill": (0, 0, 0)}
    first, *rest = words.split("³") if anchor == "la" else [words]
    draw.text((x, y), _drawable(first), font=font(size), anchor=anchor, **style)
    for before, piece in zip([first, *rest], rest, strict=False):
        # Pillow's own font has no superscript: a smaller figure at the top of the line.
        x += font(size).getlength(_drawable(before))
        draw.text((x, y), "3", font=font(round(0.65 * size)), **style)
        x += font(round(0.65 * size)).getlength("3")
        draw.text((x, y), _drawable(piece), font=font(size), **style)


def _drawable(words: str) -> str:
    """``words`` in characters that Pillow's own font has (Latin)."""
    plain = unicodedata.normalize("NFKD", words.translate(_SUBSTITUTES))
    return "".join(c if " " <= c <= "~" else "?" for c in plain if not unicodedata.combining(c))


def font(size: int):
    """Pillow's own font, ``size`` in pixels."""
    from PIL import ImageFont

    return ImageFont.load_default(size=size)


def wrapped(words: str, width: int) -> list[str]:
    """Lines of ``words`` (size 15) that fit into ``width`` pixels."""
    lines, line = [], ""
    for word in words.split():
        longer = f"{line} {word}".strip()
        if line and font(15).getlength(longer) > width:
            lines.append(line)
            line = f"  {word}"
        else:
            line = longer
    return [*lines, line] if line else lines

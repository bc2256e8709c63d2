"""The core's sentences in the user's language.

The core knows nothing of Slicer: its errors, flags and stages come in English, with codes. Here they are
found again in `coresentences`, and translated.
"""

from __future__ import annotations

import functools
import re

from slicer.i18n import tr

from HippoSegLib.errors import HippoSegError

from .coresentences import sentences


def errorText(error: HippoSegError) -> str:
    """Cause and remedy of an error, in the user's language."""
    return f"{translated(error.cause)} {translated(error.remedy)}".strip()


def translated(text: str) -> str:
    """A sentence of the core in the user's language; as it is where there is no translation."""
    for pattern, local in _patterns():
        if found := pattern.fullmatch(text):
            return re.sub(r"\{(\d+)\}", lambda place: found[f"v{place[1]}"], local)
    return text


@functools.lru_cache(maxsize=1)
def _patterns() -> list[tuple[re.Pattern, str]]:
    """What an English sentence looks like, whatever values stand in it, and its translation."""
    pairs = zip(sentences(lambda text: text), sentences(tr), strict=True)
    found = [(english, local) for english, local in pairs if english != local]
    # The one with the most words of its own is tried first.
    found.sort(key=lambda pair: -len(re.sub(r"\{\d+\}", "", pair[0])))
    return [(re.compile(_pattern(english), re.DOTALL), local) for english, local in found]


def _pattern(english: str) -> str:
    parts = re.split(r"\{(\d+)\}", english)
    return "".join(
        f"(?P<v{part}>.*?)" if number % 2 else re.escape(part) for number, part in enumerate(parts)
    )

"""The words of a command line, before they are parsed."""

from __future__ import annotations

import re
from collections.abc import Sequence

#: Numbers that begin with a minus, separated by commas: a point left of the mid-plane, not an option.
_NEGATIVE_NUMBERS = re.compile(r"^[-\u2212][\d.][-\u2212+\d.eE,;\s]*$")


def joined(arguments: Sequence[str]) -> list[str]:
    """Each ``--option -26,-13,-16`` as one word, ``--option=-26,-13,-16``.

    `argparse` takes a word that begins with a minus for an option, unless it is one plain number.
    """
    words: list[str] = []
    for word in arguments:
        is_value = words and words[-1].startswith("--") and "=" not in words[-1] and len(words[-1]) > 2
        if is_value and _NEGATIVE_NUMBERS.match(word):
            words[-1] = f"{words[-1]}={word}"
        else:
            words.append(word)
    return words

"""Text that every output can take: file names may hold bytes that are no text at all."""

from __future__ import annotations


def plain_text(text: object) -> str:
    r"""``text`` without half characters, which no UTF-8 file can hold.

    Bytes of a file name that are no UTF-8 reach Python as such (surrogates); they are shown as ``\xff``.
    """
    words = str(text)
    try:
        words.encode("utf-8")
        return words
    except UnicodeEncodeError:
        return "".join(_whole(c) for c in words)


def _whole(character: str) -> str:
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:
        return f"\\x{number - 0xDC00:02x}"
    return "\ufffd" if 0xD800 <= number <= 0xDFFF else character

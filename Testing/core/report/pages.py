"""What the made-up scan measures, and a page's texts as a browser reads them."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from HippoSegLib.report.write import ReportOptions, find_records, write_report

#: left 3000, right 3400: (3400 - 3000) / 3200 = 12.5 %.
MEASURED = {
    "left_mm3": 3000.0,
    "right_mm3": 3400.0,
    "total_mm3": 6400.0,
    "asymmetry_index": 0.125,
    "left_anterior_mm3": 1600.0,
    "left_posterior_mm3": 1400.0,
    "right_anterior_mm3": 1800.0,
    "right_posterior_mm3": 1600.0,
    "intracranial_mm3": 1.6e6,
    "left_per_mille_of_intracranial": 1.875,
    "right_per_mille_of_intracranial": 2.125,
    "total_per_mille_of_intracranial": 4.0,
    "left_quality": 0.91,
    "right_quality": 0.88,
}


class Document(HTMLParser):
    """What a page shows: every element with its attributes and all text within, in order."""

    VOID = ("meta", "img", "br", "link")

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict, list[str]]] = []
        self._open: list[tuple[str, dict, list[str]]] = []
        self.feed(text)
        assert not self._open, "an element is not closed"

    def handle_starttag(self, tag, attributes):
        element = (tag, dict(attributes), [])
        self.elements.append(element)
        if tag not in self.VOID:
            self._open.append(element)

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag

    def handle_data(self, data):
        for _tag, _attributes, texts in self._open:
            texts.append(data)

    def all(self, tag: str, kind: str = "") -> list[str]:
        """The texts of all elements of a tag (and class), white space evened out."""
        found = (
            e for e in self.elements if e[0] == tag and (not kind or kind in e[1].get("class", "").split())
        )
        return [" ".join("".join(texts).split()) for _, _, texts in found]

    def place(self, tag: str, kind: str = "") -> int:
        """Where the first such element stands."""
        for number, (name, attributes, _) in enumerate(self.elements):
            if name == tag and (not kind or kind in attributes.get("class", "").split()):
                return number
        raise LookupError(tag)

    @property
    def text(self) -> str:
        """All that is read."""
        return " ".join(self.all("body"))


def write(record: Path, output: Path | None, options: ReportOptions) -> tuple[Path, ...]:
    """Write the page of a record's file."""
    (place,) = find_records(record)
    return write_report(place, output, options)

"""A finished scan in a folder, as a segmentation leaves it, and the page's texts as a browser reads them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from HippoSegLib.batch.record import RecordedSource, ScanRecord, WrittenFile
from HippoSegLib.models.card import read_card
from HippoSegLib.models.store import bundled_folder

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


@pytest.fixture
def read():
    """Reads a page's file."""
    return lambda path: Document(Path(path).read_text(encoding="utf-8"))


@pytest.fixture
def finished(tmp_path):
    """Makes a folder with a scan's files and record; returns the record's path."""

    def make(scan: str = "head", folder: str = "out", **changes) -> Path:
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        labels, picture = place / f"{scan}_hippocampus.nii.gz", place / f"{scan}_hippocampus.png"
        labels.write_bytes(b"labels of " + scan.encode())
        Image.new("RGB", (1640, 724), (16, 16, 18)).save(picture)
        files = {"labels": labels, "picture": picture}
        record = ScanRecord(
            scan=scan,
            status="ok",
            source=RecordedSource("/data/DOE_JANE/head.nii.gz", "0" * 32, sha256="a" * 64),
            measurements=MEASURED,
            files={what: _written(path) for what, path in files.items()},
            provenance={
                "model": {
                    "name": "hipposeg",
                    "sha256": read_card(bundled_folder() / "hipposeg").weights_sha256,
                },
                "versions": {"HippoSeg": "0.1.0", "Python": "3.12.10", "numpy": "2.4.6"},
                "settings": {"protocol": "full", "second_reader": {"name": "hipposeg_clahe_sce"}},
                "input_geometry": {"size": [181, 217, 181], "spacing_mm": [1.0, 1.0, 1.2]},
                "agreement": {"left": 0.96, "right": 0.97},
                "finished": "2026-11-25T10:00:00+00:00",
            },
        )
        if changes.get("status") == "failed":
            changes = {"measurements": {}, "files": {}, "provenance": {}, **changes}
        path = place / f"{scan}_hippocampus.json"
        path.write_text(json.dumps(replace(record, **changes).to_dict()), encoding="utf-8")
        return path

    return make


def _written(path: Path) -> WrittenFile:
    data = path.read_bytes()
    return WrittenFile(path.name, len(data), hashlib.sha256(data).hexdigest())

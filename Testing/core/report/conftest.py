"""A finished scan in a folder, as a segmentation leaves it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pages import MEASURED, Document
from PIL import Image

from HippoSegLib.batch.record import RecordedSource, ScanRecord, WrittenFile
from HippoSegLib.models.card import read_card
from HippoSegLib.models.store import bundled_folder
from HippoSegLib.reference import Identity, Person
from HippoSegLib.reference.fitting import Control, fit_reference


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


@pytest.fixture(scope="session")
def controls() -> list[Control]:
    """64 controls, 20 to 80 years old, whose hippocampi shrink by 10 mm³ a year."""
    rng = np.random.default_rng(4)
    found = []
    for number in range(64):
        age, head = float(20 + 60 * number / 63), float(rng.uniform(1.3e6, 1.8e6))
        both = 3600 - 10 * (age - 50) + 1500 * np.log(head / 1.5e6) + rng.normal(0, 200)
        left, right = both + rng.normal(0, 60), both + rng.normal(0, 60)
        measured = {
            "left_mm3": left,
            "right_mm3": right,
            "total_mm3": left + right,
            "asymmetry_index": (right - left) / ((right + left) / 2),
            "intracranial_mm3": head,
        }
        sex = "male" if number % 2 else "female"
        found.append(
            Control(Person(age, sex), {k: float(v) for k, v in measured.items()}, f"sub-{number:02}")
        )
    return found


@pytest.fixture(scope="session")
def reference(controls, tmp_path_factory):
    """Of these controls, and its file; for volumes of the bundled model."""
    sha256 = read_card(bundled_folder() / "hipposeg").weights_sha256
    identity = Identity("hipposeg", "0.1.0", "full", f"hipposeg:{sha256[:12]} hipposeg_clahe_sce:")
    return fit_reference(controls, identity)[0]

"""Malformed DICOM folders of every kind: one sentence or an image, soon, and never a patient's name."""

from __future__ import annotations

import sys
import time
from itertools import islice
from pathlib import Path

import pytest
from dicomwriter import SECRETS

from HippoSegLib.errors import InputError
from HippoSegLib.io.dicom import read_series

sys.path.append(str(Path(__file__).resolve().parents[2] / "fuzz"))

from dicom_cases import BASES, cases


@pytest.mark.no_cover
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_malformed_folders(tmp_path, seed, capfd):
    for number, (name, build) in enumerate(islice(cases(seed), 80)):
        folder = tmp_path / str(number)
        build(folder)
        start = time.perf_counter()
        try:
            image, flags = read_series(folder)
        except InputError as error:
            text = str(error)
            assert error.remedy and error.code != "input" and len(text) < 700, name
            assert not any(secret in text for secret in SECRETS), name
        else:
            assert image.GetDimension() == 3 and all(flag.code for flag in flags), name
        assert time.perf_counter() - start < 5, name
    shown = "".join(capfd.readouterr())
    assert not any(secret in shown for secret in SECRETS)


def test_a_case_can_be_made_again(tmp_path):
    made = []
    for part in ("a", "b"):
        for make in BASES.values():
            make.cache_clear()  # as in another process
        for number, (_, build) in enumerate(islice(cases(5), 12)):
            build(tmp_path / part / str(number))
        paths = [path for path in (tmp_path / part).rglob("*") if not path.is_symlink() and path.is_file()]
        made.append({path.relative_to(tmp_path / part): path.read_bytes() for path in paths})
    assert len(made[0]) > 50 and made[0] == made[1]

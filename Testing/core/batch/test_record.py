"""The record of a scan: what is written is what is read, and nothing else is taken for one."""

from __future__ import annotations

import copy
import json
import math
import random
from dataclasses import replace

import numpy as np
import pytest

from HippoSegLib.batch.record import (
    Failure,
    RecordedSource,
    RecordError,
    ScanRecord,
    WrittenFile,
    read_record,
)
from HippoSegLib.batch.record import record_of as parse
from HippoSegLib.flags import Flag
from HippoSegLib.results.volumes import COLUMNS

GOOD = ScanRecord(
    scan="head",
    status="review",
    source=RecordedSource("in/head.nii.gz", "0" * 32, "file", None, "a" * 64, "12-34"),
    measurements=dict.fromkeys(COLUMNS) | {"left_mm3": 3000.5, "asymmetry_index": -0.01},
    flags=(Flag("quality", "Uncertain.", "left"), Flag("input", "A remark.", severity="info")),
    files={"labels": WrittenFile("head_hippocampus.nii.gz", 12, "b" * 64)},
    request={"model": None, "parts": False, "points": {"left": [1.0, 2.0, 3.0]}},
    provenance={"model": {"name": "hipposeg", "sha256": "c" * 64}, "seconds": {"Reading": 0.1}},
)
FAILED = ScanRecord("x", "failed", GOOD.source, failure=Failure("slab", "input", "A slab.", "x.log"))


@pytest.mark.parametrize("record", [GOOD, FAILED])
def test_what_is_written_is_what_is_read(tmp_path, record):
    path = tmp_path / "r.json"
    path.write_text(record.to_json(), encoding="utf-8")
    found = read_record(path)
    assert found.to_dict() == record.to_dict()
    assert (found.status, found.flags, found.failure, found.files) == (
        record.status,
        record.flags,
        record.failure,
        record.files,
    )
    assert found.model == ("hipposeg" if record is GOOD else "")


def test_what_a_later_version_adds_is_kept():
    entry = GOOD.to_dict() | {"subject": "01"}
    entry["measurements"]["new_mm3"] = 1.0
    found = parse(entry)
    assert found.provenance["subject"] == "01" and found.to_dict()["subject"] == "01"


def test_numbers_that_are_none_and_names_that_are_no_text_become_valid_json(tmp_path):
    odd = {"quality": {"left": math.nan}, "array": np.arange(2), "\udcff": "caf\udce9"}
    odd["inf"] = np.float32("inf")
    record = ScanRecord("x", "ok", GOOD.source, provenance=odd)
    text = record.to_json()
    text.encode("utf-8")
    entry = json.loads(text, parse_constant=lambda word: pytest.fail(word))
    assert entry["quality"] == {"left": None} and entry["inf"] is None and entry["array"] == [0, 1]
    assert entry[r"\xff"] == r"caf\xe9"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "damaged"),
        ("\0" * 100, "damaged"),
        ("[" * 100_000, "damaged"),
        (GOOD.to_json()[:-40], "damaged"),
        ("[]", "foreign"),
        ("null", "foreign"),
        ('{"schema": "something else"}', "foreign"),
        ('{"age": 70}', "foreign"),
        ('{"model": {}, "versions": {}, "settings": {}, "input_geometry": {}}', "earlier"),
        ('{"schema": "hipposeg-scan", "schema_version": 2}', "later"),
        ('{"schema": "hipposeg-scan", "schema_version": "1"}', "damaged"),
    ],
)
def test_what_is_no_record_is_named(tmp_path, text, kind):
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(RecordError) as caught:
        read_record(path)
    assert caught.value.kind == kind


def test_altered_fields_are_a_record_error_or_a_record_and_never_anything_else():
    values = [None, 1, -1.5, "", "x", True, [], {}, [1], {"a": 1}, "failed", math.nan, 10**400]
    chance, refused = random.Random(0), 0
    for _ in range(3000):
        entry = copy.deepcopy(chance.choice([GOOD, FAILED]).to_dict())
        for _ in range(chance.choice([1, 1, 2])):
            node = entry
            while True:
                key = chance.choice(list(node) if isinstance(node, dict) else range(len(node)))
                if isinstance(node[key], dict | list) and node[key] and chance.random() < 0.7:
                    node = node[key]
                    continue
                break
            if chance.random() < 0.3 and isinstance(node, dict):
                del node[key]
            else:
                node[key] = chance.choice(values)
            if not entry:
                break
        try:
            record = parse(entry)
        except RecordError:
            refused += 1
        else:
            assert record.status in ("ok", "review", "failed")
            record.to_json()
    assert refused > 1000


@pytest.mark.parametrize("name", ["../head.nii.gz", "/etc/passwd", "a\\b", "", "..", 3, None])
def test_a_file_elsewhere_is_never_named(name):
    entry = GOOD.to_dict()
    entry["files"]["labels"]["name"] = name
    with pytest.raises(RecordError):
        parse(entry)


def test_subject_and_session_are_kept_and_a_record_without_them_is_read():
    source = replace(GOOD.source, subject="01", session="a")
    assert parse(replace(GOOD, source=source).to_dict()).source == source
    entry = GOOD.to_dict()
    del entry["source"]["subject"], entry["source"]["session"]  # as earlier versions wrote it
    assert parse(entry).source == GOOD.source and parse(entry).source.subject is None
    with pytest.raises(RecordError):
        parse(entry | {"source": entry["source"] | {"subject": 1}})

"""The panel's task for many scans: progress in words, counts, reasons; with a quick stand-in pipeline."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

BATCH = Path(__file__).resolve().parents[1] / "batch"
if str(BATCH) not in sys.path:
    sys.path.insert(0, str(BATCH))

import standin  # noqa: E402

from HippoSegLib.batch import resume, runner  # noqa: E402
from HippoSegLib.errors import Cancelled  # noqa: E402
from HippoSegLib.worker.tasks import TASKS  # noqa: E402


@pytest.fixture(autouse=True)
def quick_pipeline(monkeypatch):
    monkeypatch.setattr(runner, "read_scan", standin.read)
    monkeypatch.setattr(runner, "segment", standin.segment)
    monkeypatch.setattr(resume, "model_identity", standin.identity)


def request(folder: Path, count: int) -> dict:
    (folder / "in").mkdir()
    for number in range(count):
        (folder / "in" / f"scan-{number:04d}.nii").touch()
    options = {"picture": False, "workers": 1}
    return {"inputs": [str(folder / "in")], "output": str(folder / "out"), "options": options}


def test_a_folder_of_scans(tmp_path):
    told = []
    asked = request(tmp_path, 12)
    answer = TASKS["cohort"](asked, "", lambda *values: told.append(values), lambda: False)
    json.dumps(answer)
    rows = standin.table(tmp_path / "out")
    assert answer["total"] == len(rows) == 12 and Path(answer["table"]).is_file()
    failed = {row["scan"] for row in rows if row["status"] == "failed"}
    assert failed and {one["scan"] for one in answer["failures"]} == failed
    assert answer["reasons"] == {"unexpected": len(failed)} and answer["ends"]["failed"] == len(failed)
    assert told[-1][1] == 1.0 and told[-1][0].startswith("12 of 12, ")
    again = TASKS["cohort"](asked, "", lambda *values: None, lambda: False)
    assert again["ends"] == {"skipped": 12 - len(failed), "failed": len(failed)}


def test_it_can_be_cancelled(tmp_path):
    with pytest.raises(Cancelled):
        TASKS["cohort"](request(tmp_path, 3), "", lambda *values: None, lambda: True)

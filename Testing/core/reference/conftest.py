"""A quick pipeline in place of the real one, where only what comes after it is tested."""

from __future__ import annotations

from pathlib import Path

import pytest

BATCH = Path(__file__).resolve().parents[1] / "batch"


@pytest.fixture
def pipeline(monkeypatch):
    """Stands in for `segment`, as in the tests of batches."""
    monkeypatch.syspath_prepend(str(BATCH))
    from standin import result_of

    from HippoSegLib.batch import runner

    monkeypatch.setattr(
        runner, "segment", lambda scan, options, progress=None, cancel=None: result_of(scan.image, options)
    )


@pytest.fixture
def scan(tmp_path, monkeypatch):
    """A file that passes the checks of the real reader."""
    monkeypatch.syspath_prepend(str(BATCH))
    from standin import write_scan

    return write_scan(tmp_path / "in" / "sub-000_T1w.nii.gz")

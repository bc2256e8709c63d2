"""A quick pipeline in place of the real one, for all tests of batches."""

from __future__ import annotations

import os

import pytest
from standin import identity, result_of

from HippoSegLib.batch import resume, runner
from HippoSegLib.flags import Flag


@pytest.fixture
def pipeline(monkeypatch):
    """Stands in for `segment`: `fails` says which calls end in which exception, `flags` what is noticed."""
    calls = []

    def segment(scan, options, progress=None, cancel=None):
        calls.append(scan.image)
        error = segment.fails.get(len(calls) - 1)
        if error is not None:
            raise error
        if progress is not None:
            progress("Segmenting", 0.5)
        return result_of(scan.image, options, segment.flags)

    segment.fails = {}
    segment.flags = (Flag("input", "A remark, with a comma.", severity="info"),)
    segment.calls = calls
    monkeypatch.setattr(runner, "segment", segment)
    monkeypatch.setattr(resume, "model_identity", identity)
    return segment


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    """Killed processes lose nothing that the system has taken; only a loss of power would."""
    monkeypatch.setattr(os, "fsync", lambda file: None)

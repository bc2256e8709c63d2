"""Training tests compute on one thread: they must be repeatable, and leave room for others."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def no_pictures(monkeypatch):
    """Those of a fine-tuned model take longer than its making here."""
    monkeypatch.setattr("HippoSegLib.finetuning.result._pictures", lambda _trained: {})

"""Training tests compute on one thread: they must be repeatable, and leave room for others."""

from __future__ import annotations

import pytest
import torch
from sitefixture import make_base


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


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory):
    """A small model to fine-tune."""
    return make_base(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture
def models_of_this_test(tmp_path, monkeypatch):
    """The user's models are those of the test."""
    monkeypatch.setenv("HIPPOSEG_MODELS", str(tmp_path / "models"))

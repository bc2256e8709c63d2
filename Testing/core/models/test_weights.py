"""Weight files: what is written is read, nothing is executed, and only the file of the card is taken."""

from __future__ import annotations

import hashlib
import sys

import numpy as np
import pytest
import torch

from HippoSegLib.errors import DependencyError, ModelError, OutputError
from HippoSegLib.models.unet3d import UNet3D
from HippoSegLib.models.weights import read_weights, write_weights


@pytest.fixture
def state() -> dict[str, np.ndarray]:
    torch.manual_seed(0)
    return {name: value.half().numpy() for name, value in UNet3D(1, 2, (2, 4)).state_dict().items()}


def same(first, second) -> bool:
    return first.keys() == second.keys() and all(np.array_equal(first[k], second[k]) for k in first)


def test_written_weights_are_read(tmp_path, state):
    write_weights(tmp_path / "a.npz", state)
    found = read_weights(tmp_path / "a.npz", hashlib.sha256((tmp_path / "a.npz").read_bytes()).hexdigest())
    assert same(found, state)
    assert {value.dtype for value in found.values()} == {np.dtype(np.float16)}


def test_tensors_can_be_written_and_the_same_values_give_the_same_bytes(tmp_path, state):
    write_weights(tmp_path / "a.npz", state)
    write_weights(tmp_path / "b.npz", {name: torch.from_numpy(v).float() for name, v in state.items()})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_weights_of_older_models_are_read(tmp_path, state):
    torch.save({name: torch.from_numpy(value) for name, value in state.items()}, tmp_path / "a.pt")
    assert same(read_weights(tmp_path / "a.pt"), state)


def test_older_weights_without_torch_say_what_is_missing(tmp_path, state, monkeypatch):
    torch.save({name: torch.from_numpy(value) for name, value in state.items()}, tmp_path / "a.pt")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(DependencyError, match="a.pt.*PyTorch"):
        read_weights(tmp_path / "a.pt")


def test_an_existing_file_is_not_replaced(tmp_path, state):
    (tmp_path / "a.npz").write_bytes(b"mine")
    with pytest.raises(OutputError):
        write_weights(tmp_path / "a.npz", state)
    assert (tmp_path / "a.npz").read_bytes() == b"mine"


def test_another_file_than_the_cards_is_refused(tmp_path, state):
    write_weights(tmp_path / "a.npz", state)
    with pytest.raises(ModelError, match="SHA-256"):
        read_weights(tmp_path / "a.npz", "0" * 64)


class Trap:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return exec, ("raise SystemExit('executed')",)


@pytest.mark.parametrize("suffix", [".npz", ".pt"])
def test_files_that_cannot_be_read(tmp_path, state, suffix):
    path = tmp_path / f"a{suffix}"
    with pytest.raises(ModelError, match="missing"):
        read_weights(path)
    for content in (b"", b"not a zip", b"PK\x03\x04 half"):
        path.write_bytes(content)
        with pytest.raises(ModelError, match="cannot be read"):
            read_weights(path)
    write = np.savez if suffix == ".npz" else (lambda file, x: torch.save(x, file))
    write(path, *([np.array([Trap()], object)] if suffix == ".npz" else [{"x": Trap()}]))
    with pytest.raises(ModelError, match="cannot be read"):
        read_weights(path)


@pytest.mark.parametrize("value", [np.array([1, 2]), np.array(["a"]), np.array([1.0, np.nan])])
def test_something_else_than_finite_numbers_is_refused(tmp_path, value):
    np.savez(tmp_path / "a.npz", x=value)
    with pytest.raises(ModelError):
        read_weights(tmp_path / "a.npz")

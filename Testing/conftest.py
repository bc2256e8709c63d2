"""Fixtures shared by all tests. Tests on real data skip where HIPPOSEG_DATA is not set."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# One thread everywhere (set before numpy and torch load): results do not depend on the machine's
# load, and a test run leaves room for others.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import SimpleITK as sitk  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from Testing.long_files import LONG  # noqa: E402

#: What files of tests import of the Slicer module; the rest is imported in Slicer's test bed.
IMPORTED_WITHOUT_SLICER = ("HippoSegSlicer.preprocessingsettings", "HippoSegSlicer.workerprocess")

#: Of a test with many sets of parameters, so many are measured: the others run the same lines once more.
MEASURED_TIMES = 4
#: File and line of a test -> how often it was run.
_times_run: Counter[tuple[str, int | None]] = Counter()

sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
sitk.ProcessObject.SetGlobalWarningDisplay(False)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first; all else stays in its order."""
    place = {ROOT / "Testing" / name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


@contextmanager
def _unmeasured() -> Iterator[None]:
    """Without measuring coverage.

    In a worker process, pytest-cov 7.1 has two measurements running, and its own mark stops one of them.
    """
    tracers = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracers[0])
        threading.settrace(tracers[1])


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session):
    """Finding the tests takes longer measured: of that, only the import of what is tested is."""
    if sys.gettrace() is None or session.config.pluginmanager.hasplugin("dsession"):
        return (yield)  # nothing is measured, or the worker processes find the tests
    import HippoSegLib

    names = [module.name for module in pkgutil.walk_packages(HippoSegLib.__path__, "HippoSegLib.")]
    sys.path.append(str(ROOT / "HippoSeg"))
    for name in (*names, *IMPORTED_WITHOUT_SLICER):
        if not name.endswith("__main__"):
            with suppress(ImportError):  # of a package that is not installed, whose tests are skipped
                importlib.import_module(name)
    sys.path.remove(str(ROOT / "HippoSeg"))
    with _unmeasured():
        return (yield)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item):
    """What is marked `no_cover` is not measured in a worker process either, nor what has been run often."""
    _times_run[item.location[:2]] += 1
    if item.get_closest_marker("no_cover") is None and _times_run[item.location[:2]] <= MEASURED_TIMES:
        return (yield)
    with _unmeasured():
        return (yield)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with real scans that the environment variable HIPPOSEG_DATA names."""
    folder = os.environ.get("HIPPOSEG_DATA", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("HIPPOSEG_DATA does not name the folder with real scans")
    return Path(folder)


@pytest.fixture(scope="session")
def sample_path() -> Path:
    """The sample scan that ships with the project."""
    return ROOT / "Resources" / "SampleData" / "hipposeg_sample_T1.nii.gz"


@pytest.fixture(scope="module")
def networks_answer_once():
    """A network that is asked again for the very same voxels, bit for bit, gives its answer again.

    So does one of the same weights that another test has loaded, and the preprocessing of a region.
    Everything around them runs as ever, and so do they on any input that differs in a bit.
    """
    from HippoSegLib.models import prediction
    from HippoSegLib.models.numpy_engine import NumpyUNet
    from Testing import networkanswers

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NumpyUNet, "__call__", networkanswers.answer)
        patch.setattr(prediction, "channels", networkanswers.channels)
        yield


def head_array(size: tuple[int, int, int] = (56, 64, 52), seed: int = 0) -> np.ndarray:
    """A bright noisy ellipsoid in dark noise, int16 (x, y, z) = ``size``, returned as (z, y, x)."""
    rng = np.random.default_rng(seed)
    axes = [np.linspace(-1, 1, n) for n in size[::-1]]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    inside = (x / 0.8) ** 2 + (y / 0.85) ** 2 + (z / 0.75) ** 2 < 1
    return np.where(inside, rng.normal(600, 80, inside.shape), rng.normal(20, 8, inside.shape)).astype(
        np.int16
    )


@pytest.fixture
def head() -> sitk.Image:
    """A small synthetic head: int16, 56 × 64 × 52 voxels of 2.8 × 2.6 × 3 mm, slightly oblique (LPS)."""
    image = sitk.GetImageFromArray(head_array())
    image.SetSpacing((2.8, 2.6, 3.0))
    image.SetOrigin((-70.0, -90.0, -60.0))
    image.SetDirection(sitk.VersorTransform((0.05, 0.1, 0.15, 0.98), (0, 0, 0)).GetMatrix())
    return image


@pytest.fixture
def region() -> sitk.Image:
    """A small synthetic crop as of one hippocampus: float32, 36 × 50 × 34 voxels of 1 mm."""
    rng = np.random.default_rng(1)
    return sitk.GetImageFromArray(rng.normal(500, 60, (34, 50, 36)).astype(np.float32))

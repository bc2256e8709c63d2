"""Matrix products on one thread, and as before afterwards."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from HippoSegLib.models import blas


@pytest.fixture
def threads():
    """Tells the number of threads of numpy's OpenBLAS, which is set to 3."""
    functions = blas._openblas()
    if functions is None:
        pytest.skip("numpy uses another BLAS here")
    tell, set_to = functions
    before = tell()
    set_to(3)
    yield tell
    set_to(before)


def test_one_thread_within_and_as_before_afterwards(threads):
    with blas.one_blas_thread():
        assert threads() == 1
    assert threads() == 3
    with pytest.raises(ZeroDivisionError), blas.one_blas_thread():
        raise ZeroDivisionError
    assert threads() == 3


def test_the_last_of_several_users_restores_it(threads):
    barrier = Barrier(2)

    def use(_):
        with blas.one_blas_thread():
            barrier.wait()
            return threads()

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(use, range(2))) == [1, 1]
    assert threads() == 3


def test_it_is_the_library_that_numpy_has_loaded():
    code = (
        "import os; os.environ['OPENBLAS_NUM_THREADS'] = '1'\n"
        "from HippoSegLib.models import blas\n"
        "functions = blas._openblas()\n"
        "print(1 if functions is None else functions[0]())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"

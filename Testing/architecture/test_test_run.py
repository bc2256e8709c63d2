"""How the tests are run: what is started first, and what is not measured."""

import sys
import threading
from pathlib import Path

import pytest

from Testing.long_files import LONG

TESTING = Path(__file__).resolve().parents[1]


def test_the_files_that_are_started_first_are_there():
    assert [name for name in LONG if not (TESTING / name).is_file()] == []
    assert len(set(LONG)) == len(LONG)


@pytest.mark.no_cover
def test_what_is_marked_so_is_not_measured():
    assert sys.gettrace() is None and threading.gettrace() is None

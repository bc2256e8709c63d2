"""Freed memory is used again: counted by the pages that the system has to bring."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    not (sys.platform.startswith("linux") and platform.libc_ver()[0] == "glibc"), reason="the GNU C library"
)

CODE = """
import resource, sys
import SimpleITK as sitk
from HippoSegLib.batch.memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
for run in range(5):
    if run == 1:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    image = sitk.Image([256] * 3, sitk.sitkInt16)
    del image
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def pages(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", CODE, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_an_image_in_the_place_of_a_freed_one_brings_no_new_pages():
    image = 2 * 256**3 // 4096
    assert pages("keep") < image < pages("return")

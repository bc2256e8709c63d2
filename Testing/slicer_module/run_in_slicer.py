"""Run the module's self-test inside the real 3D Slicer, from the sources or from an installed extension.

usage: Slicer --testing --no-splash --python-script Testing/slicer_module/run_in_slicer.py
       (add --additional-module-path HippoSeg where the extension is not installed)
Slicer ends with 0 where all tests passed or were skipped for a reason, with 1 otherwise.
"""

from __future__ import annotations

import os
import sys
import traceback
import unittest

import slicer


def main() -> int:
    """Run the self-test; returns the exit code."""
    sources = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "HippoSeg")
    sys.path.append(sources)
    try:
        from HippoSeg import HippoSegTest

        HippoSegTest().runTest()
    except unittest.SkipTest as reason:
        print(f"HippoSeg: the self-test was skipped: {reason}")
        return 0
    except Exception:
        traceback.print_exc()
        return 1
    print("HippoSeg: the self-test passed")
    return 0


if __name__ == "__main__":
    slicer.util.exit(main())

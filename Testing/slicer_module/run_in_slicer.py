"""Run the module's self-test inside the real 3D Slicer, from the sources or from an installed extension.

usage: Slicer --testing --no-splash --python-script Testing/slicer_module/run_in_slicer.py
       (add --additional-module-path HippoSeg where the extension is not installed)
Slicer ends with 0 where all tests passed, with 1 otherwise.
"""

import os
import sys
import traceback

import slicer

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "HippoSeg"))

try:
    from HippoSeg import HippoSegTest

    HippoSegTest().runTest()
except Exception:
    traceback.print_exc()
    slicer.util.exit(1)
else:
    slicer.util.exit(0)

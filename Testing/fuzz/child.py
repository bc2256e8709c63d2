"""The watched process: makes the cases it is told of, reads them, and segments what could be read.

One JSON line in per case, one JSON line out per step; what native code prints goes elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
OUT = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

import numpy as np  # noqa: E402
import SimpleITK as sitk  # noqa: E402
from mutations import Case, make_case, write_case  # noqa: E402

from dicomwriter import SECRETS  # noqa: E402  isort: skip

from HippoSegLib.errors import HippoSegError  # noqa: E402
from HippoSegLib.io.images import read_scan  # noqa: E402

#: Hard bound of the address space, above what the process has when it is ready: the machine is not to suffer.
_ADDRESS_SPACE = 3 << 30
_LONGEST_MESSAGE = 600


def say(**what) -> None:
    OUT.write(json.dumps(what) + "\n")
    OUT.flush()


def memory_kb(field: str) -> int:
    """A line of /proc/self/status; 0 where there is none."""
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith(field))
    except (OSError, StopIteration):
        return 0


def forget_peak() -> None:
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    except OSError:
        pass


def limit_address_space() -> None:
    try:
        import resource

        limit = memory_kb("VmSize") * 1024 + _ADDRESS_SPACE
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    except (ImportError, ValueError, OSError):
        pass


def judged(action) -> tuple[dict, object]:
    """What came of an action: "ok", "refused" (in a sentence as it should be) or "foreign"."""
    start = time.perf_counter()
    forget_peak()
    result, what = None, {"outcome": "ok"}
    try:
        result = action()
    except HippoSegError as error:
        text = str(error)
        one_sentence = text.isprintable() and len(text) <= _LONGEST_MESSAGE and error.cause.endswith(".")
        one_sentence = one_sentence and not any(secret in text for secret in SECRETS)
        what = {
            "outcome": "refused" if one_sentence else "foreign",
            "code": getattr(error, "code", ""),
            "text": text[:1000],
        }
    except BaseException as error:  # whatever is no error of ours is a finding
        lines = traceback.format_exception(error)
        what = {"outcome": "foreign", "code": type(error).__name__, "text": "".join(lines)[-3000:]}
    what |= {"seconds": round(time.perf_counter() - start, 3), "peak_kb": memory_kb("VmHWM")}
    return what, result


def image_hash(image: sitk.Image) -> str:
    total = hashlib.sha256(np.ascontiguousarray(sitk.GetArrayViewFromImage(image)))
    total.update(repr((image.GetSpacing(), image.GetOrigin(), image.GetDirection())).encode())
    return total.hexdigest()


def segment_scan(scan, case: Case):
    from HippoSegLib.pipeline import segment

    side = {"region_side": "left"} if case.region else {}
    return segment(scan, device="cpu", threads=1, **side)


def main() -> None:
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    seen: set[str] = set()
    limit_address_space()
    say(step="ready")
    for line in sys.stdin:
        order = json.loads(line)
        case = make_case(order["case"], order["base"], order["seed"])
        folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir=order["folder"]))
        path = write_case(case, folder)
        say(step="made", kind=case.kind, steps=case.steps)
        what, scan = judged(lambda: read_scan(path, case.region))  # noqa: B023
        say(step="read", **what)
        if what["outcome"] == "ok" and order["pipeline"] and image_hash(scan.image) not in seen:
            seen.add(image_hash(scan.image))
            what, _ = judged(lambda: segment_scan(scan, case))  # noqa: B023
            say(step="segmented", **what)
        shutil.rmtree(folder, ignore_errors=True)
        say(step="done")


if __name__ == "__main__":
    main()

"""Draw the report of the sample scan, compared with simulated controls, as a small picture for the README.

usage: python Testing/tools/report_screenshot.py TARGET.jpg    (needs Jinja2, and Chromium, Chrome or Edge)
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "Testing" / "core" / "reference")]

from simulated import people  # noqa: E402

from HippoSegLib.batch.run import segment_files  # noqa: E402
from HippoSegLib.reference import Person, identity_of  # noqa: E402
from HippoSegLib.reference.fitting import fit_reference  # noqa: E402
from HippoSegLib.report.pdf import require_browser  # noqa: E402
from HippoSegLib.report.write import ReportOptions, find_records, write_report  # noqa: E402

SAMPLE = ROOT / "Resources" / "SampleData" / "hipposeg_sample_T1.nii.gz"
#: Pixels of the page and of the picture, and JPEG's quality.
SIZE, WIDTH, QUALITY = (880, 1090), 700, 78


def main(target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (outcome,) = segment_files([SAMPLE], folder)
        reference, _far = fit_reference(people(120), identity_of(outcome.record.provenance))
        (place,) = find_records(Path(folder))
        options = ReportOptions(reference=reference, person=Person(62.0, "female"))
        (page,) = write_report(place, None, options)
        shot = Path(folder, "page.png")
        command = [require_browser(), "--headless", "--disable-gpu", "--hide-scrollbars"]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            command.append("--no-sandbox")
        command += [f"--window-size={SIZE[0]},{SIZE[1]}", f"--screenshot={shot}", page.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        picture = Image.open(shot).convert("RGB")
    small = picture.resize((WIDTH, WIDTH * SIZE[1] // SIZE[0]), Image.Resampling.LANCZOS)
    small.save(target, quality=QUALITY, optimize=True)
    print(f"{target}: {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

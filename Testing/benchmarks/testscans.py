"""What the benchmarks on whole heads share: the scans that only test, their arguments, the report.

Which scans these are is said by `HippoSegLib.training.data_splits`; no training opens them.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tables import folder_of, write_keeping_words  # noqa: E402

from HippoSegLib.io.images import image_stem, read_image  # noqa: E402
from HippoSegLib.models.store import Model, load_model  # noqa: E402
from HippoSegLib.training import data_splits  # noqa: E402


@dataclass(frozen=True)
class TestScan:
    """A head that only tests: its name, its file or DICOM folder, its manual labels if it has any."""

    __test__ = False  # no test class, whatever pytest thinks of the name

    name: str
    path: Path
    labels: Path | None = None

    def read(self) -> sitk.Image:
        """The scan as float32: changes of intensity must not be rounded away."""
        return sitk.Cast(read_image(self.path), sitk.sitkFloat32)


def labelled_scans(data: Path) -> list[TestScan]:
    """The heads with independent manual labels (48 left, 47 right), by name."""
    folder = data / data_splits.LABELLED_HEADS
    stems = sorted(p.name.removesuffix("_SS.nii.gz") for p in folder.glob("*_SS.nii.gz"))
    return [TestScan(s, folder / f"{s}_SS.nii.gz", folder / f"{s}_glm.nii.gz") for s in stems]


def unlabelled_scans(data: Path) -> list[TestScan]:
    """Every other head that only tests: two datasets, the sample heads, the DICOM series."""
    scans = []
    for dataset, subject in data_splits.TEST_REAL_HEADS:
        path, _ = data_splits.real_head(data / data_splits.UNLABELLED_HEADS, dataset, subject)
        scans.append(TestScan(f"{dataset} {subject}", path))
    scans += [TestScan(image_stem(p), p) for p in sorted((data / "sample_heads").glob("*.nii.gz"))]
    return [*scans, TestScan("DICOM series", data / "dicom_head" / "series")]


def arguments(description: str) -> argparse.ArgumentParser:
    """The arguments that every benchmark on these scans has."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="bundled name or model folder (default: the bundled model)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--heads", type=int, help="only so many heads, to try it out")
    parser.add_argument("--write", action="store_true", help="also write the report to the model's tables")
    return parser


def data_folder() -> Path:
    """The folder that the environment variable HIPPOSEG_DATA names."""
    folder = Path(os.environ.get("HIPPOSEG_DATA", ""))
    if not os.environ.get("HIPPOSEG_DATA") or not folder.is_dir():
        raise SystemExit("HIPPOSEG_DATA does not name the folder with real scans.")
    return folder


def each(scans: list[TestScan], limit: int | None) -> Iterator[TestScan]:
    """The scans, at most `limit`, with a word about how far it is."""
    scans = scans[:limit]
    for number, scan in enumerate(scans, start=1):
        print(f"[{number}/{len(scans)}] {scan.name}", file=sys.stderr, flush=True)
        yield scan


def report(script: str, args: argparse.Namespace, title: str, body: Callable[[Model], list[str]]) -> None:
    """Load the model, measure with `body` (lines of Markdown), print the report, write it on request."""
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(args.threads)
    model = load_model(args.model)
    lines = body(model)
    words = [f"--model {model.name}"] if args.model else []
    words += [f"--heads {args.heads}"] if args.heads else []
    command = " ".join(["python", f"Testing/benchmarks/{script}.py", *words, f"--threads {args.threads}"])
    head = [
        f"# {title}",
        f"Model `{model.name}` (SHA-256 {model.sha256[:12]}…), CPU, {args.threads} "
        f"thread{'s' if args.threads > 1 else ''}.",
        "",
        f"    {command}",
        "",
    ]
    text = "\n".join(head + lines) + "\n"
    print(text)
    if args.write:
        write_keeping_words(folder_of(model.name) / f"{script}.md", text)

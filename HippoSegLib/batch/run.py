"""Many scans, one output folder: files per scan, one table, a failed scan is a row and not the end."""

from __future__ import annotations

import csv
import datetime
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import SimpleITK as sitk

from ..errors import Cancelled, HippoSegError, InputError, OutputError
from ..io.images import image_stem, read_scan, write_image
from ..options import SegmentOptions
from ..pipeline import SegmentationResult, segment
from ..results.volumes import COLUMNS

if TYPE_CHECKING:
    from ..results.qc_figure import FigureFacts

TABLE = "hippocampus.csv"
FIELDS = ("scan", "status", *COLUMNS, "flags", "model")


@dataclass
class Outcome:
    """What became of one scan: `result` and its `files`, or `error`."""

    scan: str
    result: SegmentationResult | None = None
    error: HippoSegError | None = None
    files: tuple[Path, ...] = ()

    def as_row(self) -> dict[str, str]:
        """The scan's row of the table, everything as text."""
        row = dict.fromkeys(FIELDS, "")
        row["scan"] = self.scan
        if self.result is None:
            row["status"] = f"failed: {self.error}"
            return row
        row["status"] = "ok"
        for name, value in self.result.measurements.as_row().items():
            if value is not None:
                digits = 3 if "quality" in name else 4 if "index" in name or "per_mille" in name else 1
                row[name] = f"{value:.{digits}f}"
        row["flags"] = " ".join(flag.message for flag in self.result.flags)
        row["model"] = self.result.provenance["model"]["name"]
        return row


def output_names(paths: Sequence[Path]) -> list[str]:
    """A distinct name per scan: its own, and where two are alike, with as many folders before it as needed.

    Raises:
        InputError: One scan is given twice.
    """
    full = [Path(os.path.abspath(p)) for p in paths]
    if len(set(full)) < len(full):
        raise InputError("A scan was given twice.", "Name each scan once.")
    names = [image_stem(p) for p in full]
    here = [(p.parent, n) for p, n in zip(full, names, strict=True)]
    # Two kinds of file with one stem in one folder: the suffix tells them apart.
    names = [p.name.replace(".", "_") if here.count(h) > 1 else h[1] for p, h in zip(full, here, strict=True)]
    for depth in range(1, max((len(p.parts) for p in full), default=1)):
        alike = {n for n in names if names.count(n) > 1}
        for i, path in enumerate(full):
            if names[i] in alike and depth < len(path.parts) - 1:
                names[i] = f"{path.parts[-1 - depth]}_{names[i]}"
    return names


def segment_files(
    paths: Iterable[str | Path],
    output: str | Path,
    options: SegmentOptions | None = None,
    *,
    picture: bool = True,
    overwrite: bool = False,
    series: str | int | None = None,
    progress: Callable[[str, str, float], None] | None = None,
    cancel: Callable[[], bool] | None = None,
    **changes,
) -> Iterator[Outcome]:
    """Segment scans one after the other; yields an `Outcome` per scan as it is done.

    A scan's files appear all together under their final names or not at all; the table
    `hippocampus.csv` is rewritten after each scan. Nothing is written beside the inputs.

    Args:
        paths: Files, or folders with a DICOM series.
        output: Folder for the results; made if it is missing.
        options: What is to be done; maps that are asked for are written as
            `<scan>_left_probability.nii.gz`, `<scan>_left_uncertainty.nii.gz` and `…_right_…`.
        picture: Also write the quality-control picture.
        overwrite: Replace results that exist.
        series: As in `io.images.read_scan`.
        progress: Called with the scan's name, the stage in words and the fraction done.
        changes: Fields of `SegmentOptions` in place of those of `options`.

    Raises:
        InputError: A scan is given twice. OutputError: The folder cannot be used. Cancelled.
        Other errors are in the outcomes.
    """
    options = replace(options or SegmentOptions(), **changes)
    paths = [Path(p) for p in paths]
    names = output_names(paths)
    output = Path(output)
    for path, name in zip(paths, names, strict=True):
        tell = (
            None if progress is None else (lambda words, fraction, name=name: progress(name, words, fraction))
        )
        try:
            _refuse_existing(output, name, overwrite)
            scan = read_scan(path, options.region, series)
            result = segment(scan, options, tell, cancel)
            files = write_result(scan.image, result, output, name, picture=picture, overwrite=overwrite)
            outcome = Outcome(name, result, None, files)
        except Cancelled:
            raise
        except HippoSegError as error:
            outcome = Outcome(name, None, error)
        existed = outcome.error is not None and isinstance(outcome.error, OutputError)
        if not existed and (outcome.error is None or len(paths) > 1):
            try:
                write_table(output / TABLE, [outcome.as_row()])
            except OutputError as error:
                outcome.error = outcome.error or error
        yield outcome


def _refuse_existing(output: Path, name: str, overwrite: bool) -> None:
    if not overwrite and (output / f"{name}_hippocampus.nii.gz").exists():
        raise OutputError(
            f"A result for '{name}' exists in the output folder.",
            "Choose another folder, or allow overwriting.",
            "exists",
        )


def write_result(
    image: sitk.Image,
    result: SegmentationResult,
    output: Path,
    name: str,
    *,
    picture: bool = True,
    overwrite: bool = False,
) -> tuple[Path, ...]:
    """Write one scan's files, all or none.

    Returns:
        The files: label image, provenance JSON, then picture, probabilities and uncertainty if there are any.

    Raises:
        OutputError: The folder cannot be written, is full, or a file exists.
    """
    _refuse_existing(output, name, overwrite)
    with _staging(output) as staging:
        write_image(result.labels, staging / f"{name}_hippocampus.nii.gz")
        text = json.dumps(result.provenance, indent=2, ensure_ascii=False)
        (staging / f"{name}_hippocampus.json").write_text(text + "\n", encoding="utf-8")
        if picture:
            from ..results.qc_figure import qc_figure

            facts = figure_facts(result, name)
            qc_figure(image, result.labels, staging / f"{name}_hippocampus.png", facts)
        for what, volumes in (("probability", result.probabilities), ("uncertainty", result.uncertainty)):
            for side, volume in (volumes or {}).items():
                write_image(volume, staging / f"{name}_{side}_{what}.nii.gz")
        files = []
        # The label image goes last: where it stands, the others stand too.
        for path in sorted(staging.iterdir(), key=lambda p: p.name.endswith("hippocampus.nii.gz")):
            os.replace(path, output / path.name)
            files.append(output / path.name)
    return tuple(files)


def figure_facts(result: SegmentationResult, title: str) -> FigureFacts:
    """What stands in words on the quality-control figure of a result."""
    from ..results.qc_figure import FigureFacts

    version = result.provenance.get("versions", {}).get("HippoSeg", "")
    return FigureFacts(
        title=title,
        measurements=result.measurements,
        flags=[flag.message for flag in result.flags],
        model=f"{result.provenance['model']['name']} {version}".strip(),
        date=datetime.date.today().isoformat(),
        region_side=result.provenance.get("settings", {}).get("region_side"),
    )


def write_channels(
    regions: Mapping[str, Sequence[sitk.Image]], output: Path, name: str, *, overwrite: bool = False
) -> list[Path]:
    """Write the network's channels as `<name>_<side>_channel<n>.nii.gz`, all or none.

    Raises:
        OutputError: The folder cannot be written, or a file exists.
    """
    images = {
        f"{name}_{side}_channel{n}.nii.gz": image
        for side, channels in regions.items()
        for n, image in enumerate(channels, start=1)
    }
    for file in images:
        if not overwrite and (output / file).exists():
            raise OutputError(f"'{file}' exists.", "Choose another folder, or allow overwriting.", "exists")
    with _staging(output) as staging:
        for file, image in images.items():
            write_image(image, staging / file)
        for file in images:
            os.replace(staging / file, output / file)
    return [output / file for file in images]


@contextmanager
def _staging(output: Path):
    """A hidden folder in the output folder; what is left in it when something fails is removed."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".hipposeg-", dir=output))
    except OSError as error:
        raise OutputError(
            f"The output folder '{output.name}' cannot be written ({error.strerror}).",
            "Choose another folder, or change its permissions.",
        ) from None
    try:
        yield staging
    except OSError as error:
        raise OutputError(
            f"The results cannot be written ({error.strerror}).", "Free disk space, or choose another folder."
        ) from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def write_table(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """Add rows to the table, replacing those of the same scans; the file is replaced as a whole.

    Raises:
        OutputError: It cannot be written, or an existing file of that name is not our table.
    """
    kept: list[Mapping[str, str]] = []
    try:
        if path.exists():
            with open(path, newline="", encoding="utf-8-sig") as file:
                reader = csv.DictReader(file)
                kept = list(reader)
                if "scan" not in (reader.fieldnames or ()):
                    raise OutputError(
                        f"'{path.name}' in the output folder is another table.",
                        "Choose another output folder.",
                    )
        scans = {row["scan"] for row in rows}
        kept = [row for row in kept if row["scan"] not in scans]
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with open(temporary, "w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, FIELDS, extrasaction="ignore", restval="")
                writer.writeheader()
                writer.writerows([*kept, *rows])
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or "unreadable"
        raise OutputError(
            f"'{path.name}' cannot be written ({reason}).", "Close it elsewhere, check the disk."
        ) from None

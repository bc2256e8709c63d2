"""An output folder of any number of scans with plausible volumes, made in no time."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from HippoSegLib.batch.record import Failure, RecordedSource, ScanRecord, WrittenFile
from HippoSegLib.flags import Flag

#: The beginning of a PNG of one grey pixel.
_HEADER = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b55")


def tiny_png() -> bytes:
    """A PNG of one pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + check

    return _HEADER + chunk(b"IDAT", zlib.compress(b"\0\x80")) + chunk(b"IEND", b"")


def flags_of(index: int) -> tuple[Flag, ...]:
    """None for most scans, a note or warnings for some."""
    if index % 11 == 3:
        return (Flag("quality", "The left outline is uncertain: check it.", "left"),)
    if index % 13 == 5:
        return (
            Flag("contrast", "The image does not look like a T1."),
            Flag("cut", "It may be cut.", "right"),
        )
    return (Flag("input", "Only a note.", None, "info"),) if index % 7 == 2 else ()


def record_of(scan: str, index: int, rng: np.random.Generator) -> ScanRecord:
    """The record of a scan; every 17th failed."""
    source = RecordedSource(
        f"/data/{scan}.nii.gz", f"{index:032x}", subject=f"S{index % 40:02d}", session="a"
    )
    if index % 17 == 4:
        failure = Failure("truncated", "input", "The file is truncated. Copy it again.")
        return ScanRecord(scan, "failed", source, failure=failure)
    intracranial = rng.normal(1450, 130) * 1000
    left, right = (2.1e-3 * intracranial * rng.normal(1, 0.07) for _ in range(2))
    flags = flags_of(index)
    warned = any(flag.severity == "warning" for flag in flags)
    low = 0.25 if warned else 0
    quality = {f"{side}_quality": rng.uniform(0.82, 0.9) - low for side in ("left", "right")}
    measurements = {
        "left_mm3": left,
        "right_mm3": right,
        "total_mm3": left + right,
        "asymmetry_index": 2 * (right - left) / (left + right),
        "intracranial_mm3": intracranial,
        **quality,
    }
    files = {
        "labels": WrittenFile(f"{scan}_hippocampus.nii.gz", 1, f"{index:064x}"[::-1]),
        "picture": WrittenFile(f"{scan}_hippocampus.png", 1, "0" * 64),
    }
    provenance = {
        "model": {"name": "hipposeg"},
        "versions": {"HippoSeg": "0.2.0"},
        "agreement": {"left": round(rng.uniform(0.93, 0.98), 3), "right": round(rng.uniform(0.93, 0.98), 3)},
        "seconds_total": round(rng.uniform(2, 4), 2),
    }
    status = "review" if warned else "ok"
    return ScanRecord(scan, status, source, measurements, flags, None, files, {}, provenance)


def make_folder(
    folder: Path, scans: int | Iterable[str], pictures: Iterable[Path] = (), seed: int = 0
) -> dict[str, ScanRecord]:
    """Write records and pictures.

    Args:
        folder: Made where it is not there.
        scans: Their number, or their names.
        pictures: Files that are linked to as the scans' pictures, in turn; else each is one grey pixel.
        seed: Of the random numbers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    names = [f"sub-{i:05d}_T1w" for i in range(scans)] if isinstance(scans, int) else list(scans)
    pictures = list(pictures)
    records = {}
    for index, scan in enumerate(names):
        records[scan] = record = record_of(scan, index, rng)
        (folder / f"{scan}_hippocampus.json").write_text(record.to_json(), encoding="utf-8")
        if "picture" in record.files:
            target = folder / record.files["picture"].name
            if pictures:
                os.link(pictures[index % len(pictures)], target)
            else:
                target.write_bytes(tiny_png())
    return records

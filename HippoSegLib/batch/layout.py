"""Where the files of a scan lie in an output folder, and what they are called.

A scan's files are written into one folder under their names, and put into their places from there. So a name
is enough to say which file is meant: records and journals hold names, and a layout knows the folders.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .files import ENDINGS, written_files
from .record import ENDING, WrittenFile

if TYPE_CHECKING:
    import SimpleITK as sitk

    from ..pipeline import SegmentationResult
    from .record import RecordedSource


class Layout:
    """All files beside each other in the output folder, with the table of all scans.

    Attributes:
        endings: What a file of a scan is -> the ending of its name after the scan's.
        record_ending: The same of the record.
        has_table: Whether the table `hippocampus.csv` is built beside the results.
    """

    endings: Mapping[str, str] = ENDINGS
    record_ending: str = ENDING
    has_table: bool = True

    def record_name(self, scan: str) -> str:
        """Name of a scan's record."""
        return f"{scan}{self.record_ending}"

    def labels_name(self, scan: str) -> str:
        """Name of a scan's label image."""
        return f"{scan}{self.endings['labels']}"

    def folder(self, scan: str, name: str) -> str:
        """The folder of a scan's file, below the output folder, with ``/``; empty for the folder itself."""
        return ""

    def path(self, root: Path, scan: str, name: str) -> Path:
        """Where a scan's file is."""
        return root / self.folder(scan, name) / name

    def record_path(self, root: Path, scan: str) -> Path:
        """Where a scan's record is."""
        return self.path(root, scan, self.record_name(scan))

    def names(self, root: Path) -> set[str]:
        """Scans that have a record or a label image.

        Raises:
            OSError: The folder cannot be read.
        """
        endings = (self.record_ending, self.endings["labels"])
        there = os.listdir(root)
        return {name[: -len(end)] for end in endings for name in there if name.endswith(end)}

    def records(self, root: Path) -> Iterator[tuple[str, Path]]:
        """Scans with the paths of their records, in the order of the names.

        Raises:
            OSError: A folder cannot be read.
        """
        for name in sorted(os.listdir(root)):
            if name.endswith(self.record_ending) and not name.startswith("."):
                yield name[: -len(self.record_ending)], root / name

    def write(
        self,
        folder: Path,
        scan: str,
        image: sitk.Image,
        result: SegmentationResult,
        source: RecordedSource,
        picture: bool,
    ) -> None:
        """Write the files of a result, all but its record, into one folder.

        Args:
            folder: An empty folder.
            scan: The scan's name.
            image: The scan.
            result: Of the pipeline.
            source: The input.
            picture: Whether to draw the quality-control figure.

        Raises:
            OutputError: One cannot be written. Whatever drawing raises.
        """
        from .files import write_images

        write_images(folder, scan, image, result, picture)

    def written(self, folder: Path, scan: str) -> dict[str, WrittenFile]:
        """What the files in a folder are, with length and SHA-256, for the record."""
        return written_files(folder, scan, self.endings)


#: The layout of `hipposeg segment` and `hipposeg batch`.
FLAT = Layout()

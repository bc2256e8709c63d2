"""Which cases a site has, and what its labels mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .sources import TRAINING, VALIDATION, SiteSource, find_sources


@dataclass(frozen=True)
class Site:
    """Where a site's labelled scans are, and how they are to be read.

    Attributes:
        cases: Folder (see `sources.find_sources`), or sources, whose scans and labels may be in memory.
        validation: The same for cases to judge by, never learned from; without it, cases are split off by
            subject, or (small sites) cross-validated.
        scans, labels: Patterns within the folders, such as ``*_T1w.nii.gz`` and ``*_seg.nii.gz``.
        table: CSV file that says subject and side, where the file names do not.
        label_map: Names of the label values, see `SiteLabels`; None guesses between the known ones.
        region: The scans are crops of one hippocampus.
        side: Side of all crops, where neither table nor name tells.
        leave_out: Go on without cases that cannot be used.
        anyway: Go on in spite of the warnings about the labels as a whole.
    """

    cases: str | Path | Sequence[SiteSource]
    validation: str | Path | Sequence[SiteSource] | None = None
    scans: str | None = None
    labels: str | None = None
    table: str | Path | None = None
    label_map: str | None = None
    region: bool = False
    side: str | None = None
    leave_out: bool = False
    anyway: bool = False

    def sources(self) -> list[SiteSource]:
        """The sources of the cases and of the validation cases; raises InputError as `find_sources`."""
        found = self._sources(self.cases, TRAINING)
        return found if self.validation is None else found + self._sources(self.validation, VALIDATION)

    def _sources(self, cases: str | Path | Sequence[SiteSource], role: str) -> list[SiteSource]:
        if isinstance(cases, str | Path):
            return find_sources(cases, self.scans, self.labels, self.table, role)
        return list(cases)

"""Comparing scan after scan with one reference, as they are segmented or as a table lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..flags import doubted_sides
from .judging import judge
from .participants import Participants
from .reference import Reference
from .values import Judgement, Person, identity_of
from .volumes import ScanVolumes


@dataclass(frozen=True)
class Comparison:
    """A reference, and who was scanned.

    Attributes:
        reference: The controls.
        person: Of every scan; None where `participants` say.
        participants: Who they are, by subject and session, or by the scan's name.
    """

    reference: Reference
    person: Person | None = None
    participants: Participants | None = None

    def of_result(
        self,
        names: tuple[str, str, str],
        measurements: Mapping[str, float | None],
        provenance: Mapping[str, Any],
        flags: tuple[str, ...],
    ) -> Judgement:
        """Compare the result of a segmentation.

        Args:
            names: Subject, session ("" where they are not known) and name of the scan.
            measurements: Column of `results.volumes.COLUMNS` -> value.
            provenance: As the record holds it.
            flags: Their names, see `Flag.name`.
        """
        person, scanner = self._person(*names)
        made_by = identity_of(provenance)
        return judge(self.reference, measurements, person, made_by, scanner, doubted_sides(flags))

    def of_scan(self, scan: ScanVolumes) -> Judgement:
        """Compare a line of a table."""
        person, scanner = self._person(scan.subject, scan.session, scan.scan)
        return judge(self.reference, scan.measurements, person, scan.identity, scanner, scan.doubted)

    def _person(self, subject: str, session: str, scan: str) -> tuple[Person, Mapping[str, str]]:
        line = None if self.participants is None else self.participants.of(subject or scan, session, scan)
        if line is not None:
            return line.person, line.scanner
        return self.person or Person(), {}

"""One labelled hippocampus of a site, and what was noticed about it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..training.cases import WHOLE_ONLY, Case

#: Severity of a finding: the case cannot be used; it can, but look at it; worth knowing.
ERROR, WARNING, NOTE = "error", "warning", "note"

#: What the findings come to: nothing, at least one warning, at least one error.
STATUSES = ("ok", "doubtful", "cannot be used")


@dataclass(frozen=True)
class Finding:
    """Something about a case, in words."""

    severity: str
    code: str
    text: str


@dataclass(frozen=True)
class SiteCase:
    """One hippocampus of the site, or a pair that cannot be used.

    Attributes:
        name, subject, role: See `SiteSource`; the name says the side where a head gave two.
        side: Which hippocampus.
        case: Region and classes as the training wants them (left geometry, 1 mm, class
            ``WHOLE_ONLY`` where the part is unknown); None where the case cannot be used.
        sha256: Of the voxels and geometry of scan and label: the card names cases by it.
        volume_mm3: Of the label, on its own grid.
        spacing: Of the scan, mm (x, y, z).
        base_dice: Whole hippocampus, what the base model finds against the label.
        findings: What the check noticed.
    """

    name: str
    subject: str
    role: str
    side: str | None = None
    case: Case | None = None
    sha256: str = ""
    volume_mm3: float = float("nan")
    spacing: tuple[float, float, float] | None = None
    base_dice: float = float("nan")
    findings: tuple[Finding, ...] = ()

    @property
    def usable(self) -> bool:
        return self.case is not None and not any(f.severity == ERROR for f in self.findings)

    @property
    def status(self) -> str:
        """One of `STATUSES`, as the tables and pictures of the check show it."""
        if not self.usable:
            return STATUSES[2]
        return STATUSES[1 if any(f.severity == WARNING for f in self.findings) else 0]

    @property
    def crop(self) -> Case:
        """`case`, of one that has it; raises ValueError for another."""
        if self.case is None:
            raise ValueError(f"{self.name} has no region.")
        return self.case

    @property
    def whole_only(self) -> bool:
        return self.case is not None and bool((self.case.label == WHOLE_ONLY).any())

    def noted(self, severity: str, code: str, text: str) -> SiteCase:
        """The same case with one more finding."""
        return replace(self, findings=(*self.findings, Finding(severity, code, text)))


@dataclass(frozen=True)
class CheckedSite:
    """A site after the check (`check.check`).

    Attributes:
        cases: The prepared cases, in their order, with all findings and the base model's Dice. Cases whose
            scans are the same have one subject, so that no split parts them.
        warnings: What concerns the site as a whole, in sentences.
    """

    cases: tuple[SiteCase, ...]
    warnings: tuple[str, ...]

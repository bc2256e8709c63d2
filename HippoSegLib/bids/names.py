"""Names of files in BIDS: entities, suffix, extension; and the folder that a scan belongs into."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

#: The entities of anatomical images: as file names have them -> as filter files do (pybids).
ENTITIES = {
    "sub": "subject",
    "ses": "session",
    "task": "task",
    "acq": "acquisition",
    "ce": "ceagent",
    "rec": "reconstruction",
    "dir": "direction",
    "run": "run",
    "mod": "modality",
    "echo": "echo",
    "flip": "flip",
    "inv": "inv",
    "mt": "mt",
    "part": "part",
    "proc": "proc",
    "chunk": "chunk",
    "space": "space",
    "desc": "desc",
}
_NAME = re.compile(r"(?P<entities>(?:[a-z]+-[0-9A-Za-z]+_)+)(?P<suffix>[0-9A-Za-z]+)(?P<extension>\.[a-z.]+)")


@dataclass(frozen=True)
class BidsName:
    """A file name, taken apart.

    Attributes:
        entities: Key -> value, in order: ``{"sub": "01", "run": "1"}``.
        suffix: ``T1w``.
        extension: ``.nii.gz``.
    """

    entities: Mapping[str, str]
    suffix: str
    extension: str

    @property
    def stem(self) -> str:
        """The name without suffix and extension: ``sub-01_run-1``."""
        return "_".join(f"{key}-{value}" for key, value in self.entities.items())

    @property
    def subject(self) -> str:
        """As tables have it: ``sub-01``."""
        return f"sub-{self.entities['sub']}"

    @property
    def session(self) -> str | None:
        """As tables have it: ``ses-a``; None where there are no sessions."""
        return f"ses-{self.entities['ses']}" if "ses" in self.entities else None


def parse(name: str) -> BidsName | None:
    """A file's name, taken apart; None where it is none of BIDS with a subject."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    pairs = [part.split("-", 1) for part in found["entities"].rstrip("_").split("_")]
    entities = dict(pairs)
    if pairs[0][0] != "sub" or len(entities) < len(pairs):
        return None
    return BidsName(entities, found["suffix"], found["extension"])


def folder_of(scan: str) -> str:
    """The folder of a scan's subject and session: ``sub-01/ses-a``.

    Args:
        scan: Its name without suffix: ``sub-01_ses-a_run-1``. Empty for another kind of name.
    """
    parts = scan.split("_")
    if not re.fullmatch(r"sub-[0-9A-Za-z]+", parts[0]):
        return ""
    sessions = [part for part in parts[1:2] if re.fullmatch(r"ses-[0-9A-Za-z]+", part)]
    return "/".join([parts[0], *sessions])

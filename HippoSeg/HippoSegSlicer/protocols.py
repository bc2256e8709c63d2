"""The seams: what logic and panel need from others, so that tests can put something else there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from HippoSegLib.errors import HippoSegError


class Worker(Protocol):
    """Runs one task at a time, elsewhere; see :class:`.workerprocess.WorkerProcess`."""

    folder: str

    @property
    def isBusy(self) -> bool: ...

    def send(self, task: str, arrays: Mapping[str, np.ndarray] | None = None, **request) -> int: ...

    def poll(self, wait: float = 0.0) -> list[dict]: ...

    def cancel(self) -> None: ...

    def close(self) -> None: ...


class Timer(Protocol):
    """Calls a function again and again while started; a `qt.QTimer` does."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


@dataclass(frozen=True)
class NewReference:
    """What a reference is made of.

    Attributes:
        table: File with volumes.
        participants: File with age, sex and group.
        controls: Who is a control, as in ``group=HC``; "" for all.
        output: The reference's file.
    """

    table: str
    participants: str
    controls: str
    output: str


class Questions(Protocol):
    """What has to be asked of the user; see :class:`.questions.Dialogs`."""

    def replaceEdited(self, name: str) -> str | None:
        """The result was edited: ``"replace"``, ``"new"``, or None to do nothing."""

    def modelFolder(self) -> str:
        """A model's folder, "" for none."""

    def wheelsFolder(self) -> str:
        """A folder of wheels, "" for none."""

    def csvFile(self, suggestion: str) -> str:
        """Where to write the table, "" for nowhere."""

    def pictureFile(self, suggestion: str) -> str:
        """Where to write the picture, "" for nowhere."""

    def referenceFile(self) -> str:
        """A reference's file, "" for none."""

    def newReference(self) -> NewReference | None:
        """What a new reference is to be made of; None for none."""

    def scansFolder(self) -> str:
        """A folder of scans, "" for none."""

    def outputFolder(self) -> str:
        """A folder for results, "" for none."""

    def openPage(self, path: str) -> None:
        """Show a page in the browser."""

    def install(self, text: str) -> bool:
        """Whether the user consents to an installation."""


class Installer(Protocol):
    """Installs the missing packages; see :class:`.dependencies.Installer`."""

    def missing(self, modules: Iterable[str]) -> list:
        """Which of some packages are missing or too old."""

    def unavailable(self, packages: Iterable) -> HippoSegError | None:
        """Why packages cannot be had for this system, before anything is downloaded; None where they can."""

    def install(self, packages: list, wheelsFolder: str, log, done) -> None:
        """Start; `log(line)` is called with each line, `done(error or None)` once at the end."""

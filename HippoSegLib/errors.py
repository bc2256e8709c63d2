"""Errors a user can meet: one sentence with the cause, one with the remedy.

The panel, the console and the command line all show ``str(error)``; the command line also
exits with ``error.exit_code``. Texts never contain patient data or scan contents.
"""

from __future__ import annotations


class HippoSegError(Exception):
    """Base of all errors that are the user's to solve.

    Args:
        cause: What is wrong, in plain words, one sentence.
        remedy: What to do about it, one sentence, true for every entry point; the command line and the panel
            put their own in its place where the code has one (an option, a click).
        code: Stable short name, for programs; the kind of error where none is given.
    """

    exit_code = 1
    kind = "internal"

    def __init__(self, cause: str, remedy: str = "", code: str = ""):
        self.cause = cause
        self.remedy = remedy
        self.code = code or self.kind
        super().__init__(f"{cause} {remedy}".strip())

    def __reduce__(self):
        # All arguments travel when the error crosses a process boundary.
        return type(self), (self.cause, self.remedy, self.code)


class InputError(HippoSegError):
    """The scan (or label, table, argument) given cannot be used."""

    exit_code = 3
    kind = "input"


class NotFoundError(HippoSegError):
    """No hippocampus could be located in the scan."""

    exit_code = 4
    kind = "not_found"


class ModelError(HippoSegError):
    """The model is missing, damaged, altered, or of another format version."""

    exit_code = 5
    kind = "model"


class OutputError(HippoSegError):
    """The result cannot be written."""

    exit_code = 6
    kind = "output"


class DeviceError(HippoSegError):
    """The requested device does not exist or fails its probe, or ran out of memory."""

    exit_code = 7
    kind = "device"


class TrainingError(HippoSegError):
    """Training cannot start or cannot go on with these cases and settings."""

    exit_code = 8
    kind = "training"


class DependencyError(HippoSegError):
    """A package that is needed is missing or does not load."""

    exit_code = 9
    kind = "dependency"


class Cancelled(HippoSegError):
    """The user cancelled; nothing was written."""

    exit_code = 130
    kind = "cancelled"

    def __init__(self, cause: str = "Cancelled.", remedy: str = "", code: str = ""):
        super().__init__(cause, remedy, code)


#: Exit code of a command over several scans of which some, not all, failed.
SOME_FAILED = 10

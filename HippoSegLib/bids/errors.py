"""What is wrong with a data set or with what is asked of it, with the exit codes of BIDS Apps."""

from __future__ import annotations

from ..errors import InputError


class DatasetError(InputError):
    """The folder is no BIDS data set, or an invalid one."""

    exit_code = 16


class NoInputError(InputError):
    """There is no such folder."""

    exit_code = 66


class NothingSelectedError(InputError):
    """Labels and filters select no scan."""

    exit_code = 18


class FilterError(InputError):
    """The filter file cannot be used."""

    exit_code = 65

"""Installs what is missing, with the user's consent, by Slicer's own means."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import subprocess
from collections.abc import Callable, Iterable

import slicer

from HippoSegLib.dependencies import (
    Package,
    explain_import_failure,
    explain_pip_failure,
    missing_packages,
    no_build,
)
from HippoSegLib.errors import DependencyError, HippoSegError

from .workerstart import hiddenProcessGroup, pythonCommand

#: Seconds that the package index has to answer.
INDEX_SECONDS = 30


class _LogWriter(io.TextIOBase):
    """Hands lines to a function as they are printed."""

    def __init__(self, log: Callable[[str], None]):
        self._log, self._rest = log, ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._log(line)
        return len(text)


class Installer:
    """Installs torch through the PyTorch extension and the rest through Slicer's pip."""

    def missing(self, modules: Iterable[str]) -> list[Package]:
        """Which of some packages are missing or too old; none of them is imported for that."""
        return missing_packages(modules)

    def unavailable(self, packages: Iterable[Package]) -> HippoSegError | None:
        """Why packages cannot be had for this system; None where they can. Nothing is downloaded for that."""
        for package in packages:
            code, log = _pipIndex(package.distribution)
            if error := fromIndex(package, code, log):
                return error
        return None

    def install(
        self,
        packages: list[Package],
        wheelsFolder: str,
        log: Callable[[str], None],
        done: Callable[[HippoSegError | None], None],
    ) -> None:
        """Install packages.

        Args:
            packages: What is missing.
            wheelsFolder: Folder of wheel files to install from, without any network; "" for online.
            log: Called with each line of output.
            done: Called once at the end, with the error or None.
        """
        lines: list[str] = []
        wanted = [package.module for package in packages]

        def note(line: str) -> None:
            lines.append(line)
            logging.info("HippoSeg installation: %s", line)
            log(line)

        def finish(isFine: bool) -> None:
            if isFine and not self.missing(wanted):
                done(None)
            else:
                done(explain_pip_failure("\n".join(lines)))

        try:
            if not wheelsFolder:
                torch = [package for package in packages if package.module == "torch"]
                packages = [package for package in packages if package.module != "torch"]
                if torch:
                    self._installTorch(torch[0], note)
        except HippoSegError as error:
            done(error)
            return
        except Exception as error:  # pip and the extension raise of many kinds
            note(f"{type(error).__name__}: {error}")
            finish(False)
            return
        arguments = ["--only-binary", ":all:"]
        if wheelsFolder:
            arguments += ["--no-index", "--find-links", wheelsFolder]
        requirements = [package.requirement for package in packages]
        if requirements:
            _pipInstall([*arguments, *requirements], note, finish)
        else:
            finish(True)

    def _installTorch(self, package, note: Callable[[str], None]) -> None:
        try:
            import PyTorchUtils
        except ImportError as error:
            raise DependencyError(
                "PyTorch is installed through Slicer's PyTorch extension, which is not here.",
                "Install the extension 'PyTorch' in the Extensions Manager, restart Slicer, and click again.",
            ) from error
        requirement = package.requirement.removeprefix("torch")
        try:
            with contextlib.redirect_stdout(_LogWriter(note)):
                PyTorchUtils.PyTorchUtilsLogic().installTorch(
                    askConfirmation=False, torchVersionRequirement=requirement
                )
        except (ImportError, OSError) as error:
            if not self._isMissing(package):
                raise explain_import_failure(package, error) from error
            raise

    def _isMissing(self, package) -> bool:
        return bool(self.missing([package.module]))


def fromIndex(package: Package, code: int, log: str) -> HippoSegError | None:
    """What the package index says about a package: why it cannot be had, or None.

    Args:
        code: Exit code of ``pip index versions``.
        log: What it printed.
    """
    found = re.search(r"Available versions: (.+)", log)
    if code == 0 and found:
        versions = found[1].split(", ")
        return None if any(map(package.fits, versions)) else no_build(package, versions[0])
    # It could not be asked, or the pip is too old for that: the installation will tell.
    if code == 0 or re.search(r"unknown command|No module named pip|no such option", log):
        return None
    error = explain_pip_failure(log)
    isNone = re.search(r"No matching distribution", log) and "No package that fits" in error.cause
    return no_build(package, "") if isNone else error


def _pipIndex(name: str, *arguments: str) -> tuple[int, str]:
    """Exit code and output of asking the package index which versions this system can have."""
    command = [*pythonCommand(), "-m", "pip", "index", "versions", name, "--only-binary", ":all:", *arguments]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=INDEX_SECONDS,
            check=False,
            **hiddenProcessGroup(),
        )
    except (OSError, subprocess.SubprocessError) as error:
        logging.info("HippoSeg: the package index was not asked: %s", error)
        return 0, ""
    return done.returncode, done.stdout + done.stderr


def _pipInstall(arguments: list[str], note: Callable[[str], None], finish: Callable[[bool], None]) -> None:
    """Run pip by Slicer's newer means without blocking, or by the older ones."""
    try:
        from slicer import packaging
    except ImportError:
        packaging = None
    calls: list[bool] = []

    def completed(isFine: bool) -> None:
        if not calls:
            calls.append(isFine)
            finish(isFine)

    try:
        if packaging is not None:
            packaging.pip_install(
                arguments,
                blocking=False,
                show_progress=False,
                logCallback=note,
                completedCallback=lambda code: completed(code == 0),
            )
            if packaging.isPipInstallInProgress():
                return
        else:
            with contextlib.redirect_stdout(_LogWriter(note)):
                slicer.util.pip_install(arguments)
    except Exception as error:  # pip's exit as CalledProcessError, and whatever the process start raises
        note(f"{type(error).__name__}: {error}")
        completed(False)
        return
    completed(True)  # done already: Slicer does not wait in its testing mode, nor in older versions

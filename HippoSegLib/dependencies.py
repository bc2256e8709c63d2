"""What HippoSeg can use beyond Slicer's own Python packages, and what to do when it is not there.

The plain model on a CPU needs none of it. Presence is looked up without importing anything, and an import or
an installation that failed is explained from its message.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import re
from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType

from .errors import DependencyError


@dataclass(frozen=True)
class Package:
    """A package that may be missing.

    Attributes:
        module: Name it is imported by.
        requirement: What pip is asked for.
        purpose: What it is for, in words.
        download_mb: Approximate size of the download, (smallest, largest) in MB.
        group: Optional group of the pip package that brings it, as in ``hipposeg[method]``.
    """

    module: str
    requirement: str
    purpose: str
    download_mb: tuple[int, int]
    group: str

    @property
    def distribution(self) -> str:
        """Its name in the package index."""
        return self.requirement.split(">=")[0]

    @property
    def oldest(self) -> str:
        """The oldest version that will do."""
        return self.requirement.split(">=")[1]

    def fits(self, version: str) -> bool:
        """Whether a version is recent enough."""
        return _numbers(version) >= _numbers(self.oldest)

    @property
    def is_there(self) -> bool:
        """Whether it is installed in a version that will do; it is not imported for that."""
        if importlib.util.find_spec(self.module) is None:
            return False
        try:
            return self.fits(importlib.metadata.version(self.distribution))
        except importlib.metadata.PackageNotFoundError:  # copied there by hand: its import will tell
            return True


def _numbers(version: str) -> tuple[int, ...]:
    release = re.match(r"[\d.]*", version)
    return tuple(int(number) for number in (release[0] if release else "").split(".") if number)


#: About: torch 2.13 for the CPU 192 MB on Linux, with CUDA and its libraries some GB;
#: scikit-image 0.26 with Pillow, imageio, tifffile, networkx and lazy-loader 23 MB; PyWavelets 4 MB;
#: Jinja2 with MarkupSafe 0.2 MB.
PACKAGES = (
    Package("torch", "torch>=2.4", "GPU, training and fine-tuning", (200, 3000), "torch"),
    Package("skimage", "scikit-image>=0.22", "contrast enhancement, CLAHE", (15, 25), "method"),
    Package("pywt", "PyWavelets>=1.5", "wavelet transform, SCE-3DWT", (4, 8), "method"),
    Package("jinja2", "Jinja2>=3.1", "reports as pages", (1, 1), "report"),
)


def missing_packages(modules: Iterable[str] | None = None) -> list[Package]:
    """Return which packages, of all or of `modules`, are not installed or too old, without importing any."""
    importlib.invalidate_caches()
    asked = [p for p in PACKAGES if modules is None or p.module in modules]
    return [package for package in asked if not package.is_there]


def no_build(package: Package, newest: str) -> DependencyError:
    """There is no build of a package for this system and Python that will do.

    Args:
        newest: The newest version there is for it; "" for none.
    """
    cause = f"For this system there is no build of {package.distribution} {package.oldest} or later"
    cause += f" (the newest is {newest})." if newest else "."
    remedy = "Choose a model that does without it."
    if package.module == "torch":
        remedy = (
            "Segmenting on the CPU works without it; fine-tune on another computer and choose the folder of "
            "the new model here."
        )
    return DependencyError(cause, remedy, "no_build")


def require(module: str) -> ModuleType:
    """Import a module of one of the packages, such as ``skimage.exposure``.

    Raises:
        DependencyError: The package is missing or does not load, with what to do about it.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:
        (package,) = (p for p in PACKAGES if p.module == module.split(".")[0])
        raise explain_import_failure(package, error) from error


def require_packages(modules: Iterable[str] | None = None) -> None:
    """Import packages, all or those named.

    Raises:
        DependencyError: A package is missing or does not load, with what to do about it.
    """
    for package in PACKAGES:
        if modules is None or package.module in modules:
            require(package.module)


#: Pattern in the message of a failed import -> remedy.
_IMPORT_REMEDIES = (
    (
        r"WinError (126|127|1114)|DLL load failed|vcruntime|msvcp",
        "Install the Microsoft Visual C++ Redistributable (x64), check that no antivirus program has "
        "quarantined files of the package, and restart.",
    ),
    (
        r"WinError (5|225|4551)|virus|Application Control|blocked by",
        "Security software blocks its files: ask for an exception for the folder of Python packages, "
        "then install again.",
    ),
    (
        r"GLIBC|cannot open shared object|undefined symbol|Library not loaded|incompatible architecture",
        "The installed build does not fit this system: remove it and install it again.",
    ),
    (
        r"numpy|_ARRAY_API|multiarray",
        "It was built for another version of NumPy: remove it and install it again.",
    ),
)


def explain_import_failure(package: Package, error: BaseException) -> DependencyError:
    """Turn a failed import into a sentence with a remedy."""
    text = str(error)
    if isinstance(error, ModuleNotFoundError) and error.name == package.module:
        return DependencyError(
            f"The Python package {package.module} ({package.purpose}) is not installed.",
            f'Install it: pip install "{package.requirement}".',
            "not_installed",
        )
    for pattern, remedy in _IMPORT_REMEDIES:
        if re.search(pattern, text, re.IGNORECASE):
            return DependencyError(
                f"The Python package {package.module} is installed but does not load.", remedy
            )
    return DependencyError(
        f"The Python package {package.module} is installed but does not load ({type(error).__name__}).",
        "Remove it and install it again; if that does not help, restart the computer and see the log.",
    )


#: Pattern in pip's log -> (cause, remedy), the most specific first.
_PIP_FAILURES = (
    (
        r"No space left on device|Errno 28|WinError 112|not enough space|disk full",
        "There is not enough disk space for the packages.",
        "Free at least 3 GB (8 GB with GPU support) on the disk that holds Slicer, then try again.",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError|self.signed certificate|unable to get local issuer",
        "The network inspects encrypted traffic and pip does not trust its certificate.",
        "Set the environment variable PIP_CERT to your institution's certificate file and restart, "
        "or install from a folder of wheels.",
    ),
    (
        r"ProxyError|407 Proxy|Tunnel connection failed|Cannot connect to proxy",
        "The network's proxy refused the download.",
        "Set the environment variable HTTPS_PROXY (with user name and password if it asks for them) and "
        "restart, or install from a folder of wheels.",
    ),
    (
        r"NewConnectionError|Temporary failure in name resolution|getaddrinfo failed|Network is unreachable"
        r"|ConnectTimeout|ReadTimeout|Connection (refused|reset|aborted)|nodename nor servname",
        "The package server cannot be reached: there is no internet connection, or a firewall blocks it.",
        "Check the connection, or install from a folder of wheels.",
    ),
    (
        r"PermissionError|Permission denied|Access is denied|WinError (5|32)\b|being used by another process",
        "The packages cannot be written: their folder is protected, or security software or another "
        "Slicer holds a file.",
        "Close other Slicer windows, check the folder's permissions and the antivirus program, then "
        "try again.",
    ),
    (
        r"No matching distribution|Could not find a version",
        "No package that fits this system and Python version was found.",
        "In a folder of wheels, put the files for this Python version and system; online, check the "
        "package index and firewall.",
    ),
    (
        r"hash(es)? (do not|does not|mismatch)|THESE PACKAGES DO NOT MATCH|invalid wheel|BadZipFile",
        "A downloaded package is damaged.",
        "Try again; if it repeats, antivirus software or a proxy alters downloads: install from a folder "
        "of wheels.",
    ),
)


def explain_pip_failure(log: str) -> DependencyError:
    """Turn the log of a failed installation into a sentence with a remedy."""
    for pattern, cause, remedy in _PIP_FAILURES:
        if re.search(pattern, log, re.IGNORECASE):
            return DependencyError(cause, remedy)
    return DependencyError(
        "The installation of the Python packages failed.",
        "Read the last lines of the log, restart Slicer and try again.",
    )

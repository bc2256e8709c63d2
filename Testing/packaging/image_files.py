"""Reads the recipes of the container images: the Dockerfile and Apptainer's definition."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE, DEFINITION = ROOT / "Cluster" / "Dockerfile", ROOT / "Cluster" / "hipposeg.def"
#: Where the image is built, and where HippoSeg lies in it.
SOURCES, INSTALLED = "/src", "/opt/hipposeg"
_KNOWN = {"FROM", "COPY", "RUN", "ENV", "ENTRYPOINT", "CMD"}


def instructions(path: Path = DOCKERFILE) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile with their arguments."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    text = re.sub(r"\\\n", " ", "\n".join(lines))
    found = [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]
    unknown = {one[0] for one in found} - _KNOWN
    assert not unknown and all(len(one) == 2 for one in found), unknown
    return found  # type: ignore[return-value]


def sections(path: Path = DEFINITION) -> dict[str, str]:
    """The header (as "") and the sections of an Apptainer definition."""
    parts = re.split(r"^%(\w+)[ \t]*$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def copied() -> list[str]:
    """What is copied from the sources into the image that is built."""
    words = [shlex.split(text) for name, text in instructions() if name == "COPY" and "--from" not in text]
    return [source for one in words for source in one[:-1]]


def build_in(folder: Path) -> Path:
    """Do what the Dockerfile does in a folder, without Docker; returns where HippoSeg lies then."""
    sources, installed = folder / "src", folder / "hipposeg"

    def here(text: str) -> str:
        return text.replace(SOURCES, str(sources)).replace(INSTALLED, str(installed))

    for name, text in instructions():
        if name == "COPY" and "--from" not in text:
            *names, target = shlex.split(here(text))
            for source in names:
                _copy(ROOT / source, Path(target), target.endswith("/"))
        elif name == "RUN":
            words = shlex.split(here(text))
            subprocess.run([sys.executable if words[0] == "python" else words[0], *words[1:]], check=True)
    return installed


def _copy(source: Path, target: Path, is_folder: bool) -> None:
    target = target / source.name if is_folder else target
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def size_of(folder: Path) -> int:
    """Bytes of the files in a folder, links left out."""
    paths = (Path(place, name) for place, _, names in os.walk(folder) for name in names)
    return sum(path.lstat().st_size for path in paths if not path.is_symlink())


if __name__ == "__main__":
    place = build_in(Path(sys.argv[1]))
    print(f"{size_of(place) / 1e6:.0f} MB in {place}")

"""The rules of Slicer's ExtensionsIndex for an entry and its repository, checked without a network.

usage: python Testing/slicer_module/check_extension_metadata.py REPOSITORY ENTRY.json
"""

from __future__ import annotations

import json
import pathlib
import re
import struct
import sys

KEYS = {
    "$schema": str,
    "category": str,
    "scm_url": str,
    "scm_revision": str,
    "scm_type": str,
    "build_dependencies": list,
    "build_subdirectory": str,
    "enabled": bool,
    "tier": int,
}
LICENCES = ("LICENSE", "LICENCE", "LICENSE.txt", "License.txt", "license.txt", "COPYING", "COPYING.txt")
README_NEEDS = {
    "an image": r"!\[|<img",
    "its modules": r"(?i)modules?",
    "a licence": r"(?i)licen[cs]e",
    "a publication": r"(?i)publication|cite|citation",
    "a tutorial": r"(?i)tutorial",
}
MAX_MB = 100


def check_entry(raw: bytes, name: str) -> list[str]:
    """Complaints about the index entry itself."""
    entry, found = json.loads(raw), []
    if b"\r" in raw:
        found.append("entry: line ends are not LF")
    found += [f"entry: {key} is required" for key in ("$schema", "category", "scm_url") if not entry.get(key)]
    found += [
        f"entry: {key} is unknown or of the wrong type"
        for key, value in entry.items()
        if key not in KEYS or not isinstance(value, KEYS[key])
    ]
    if not 1 <= entry.get("tier", 1) <= 5:
        found.append("entry: tier is 1 to 5")
    if entry.get("category") != "Segmentation":
        found.append("entry: category")
    if name.lower().startswith("slicer"):
        found.append("the extension's name must not start with Slicer")
    repository = entry["scm_url"].rstrip("/").split("/")[-1].removesuffix(".git")
    if not repository.startswith("Slicer"):
        found.append(f"the repository's name {repository} must start with Slicer")
    if entry["scm_url"].split("://")[0] not in ("git", "https"):
        found.append("entry: scm_url is git or https")
    return found


def check_cmake(root: pathlib.Path, entry: dict, name: str) -> list[str]:
    """Complaints about the top CMakeLists.txt."""
    text, found = (root / "CMakeLists.txt").read_text(encoding="utf-8"), []
    project = re.findall(r"project\s*\(\s*([^\s)]+)", text, re.IGNORECASE)
    if project[:1] != [name]:
        found.append(f"CMake: project is {project[:1]}, not {name}")
    values = {
        key: (re.findall(rf'set\s*\(EXTENSION_{key}\s*"([^"]+)"\s*\)', text) or [""])[0]
        for key in ("HOMEPAGE", "CONTRIBUTORS", "DESCRIPTION", "DEPENDS", "ICONURL", "SCREENSHOTURLS")
    }
    found += [f"CMake: EXTENSION_{key} is missing" for key, value in values.items() if not value]
    depends = [] if values["DEPENDS"] == "NA" else values["DEPENDS"].replace(";", " ").split()
    if depends != entry.get("build_dependencies", []):
        found.append("CMake: EXTENSION_DEPENDS is not the entry's build_dependencies")
    for url in [values["ICONURL"], *values["SCREENSHOTURLS"].split()]:
        if not re.match(r"https://raw\.githubusercontent\.com/[^/]+/[^/]+/[^/]+/.+\.(png|jpe?g|gif)$", url):
            found.append(f"not the raw address of a picture: {url}")
            continue
        picture = root / url.split("/", 6)[6]
        if not picture.is_file():
            found.append(f"no such file: {picture.relative_to(root)}")
        elif url == values["ICONURL"] and struct.unpack(">II", picture.read_bytes()[16:24]) != (128, 128):
            found.append("the icon is not 128 x 128")
    return found


def check_repository(root: pathlib.Path, name: str) -> list[str]:
    """Complaints about licence, README and size."""
    found = []
    if not any((root / licence).is_file() for licence in LICENCES):
        found.append("no licence file at the top")
    history = [path for path in (root / ".git").rglob("*") if path.is_file()]
    megabytes = sum(path.stat().st_size for path in history) / 2**20
    if megabytes > MAX_MB:
        found.append(f"the history takes {megabytes:.0f} MB, more than {MAX_MB} MB")
    readme = root / "README.md"
    if not readme.is_file():
        return [*found, "no README.md"]
    text = readme.read_text(encoding="utf-8")
    if name not in text:
        found.append(f"README: no {name}")
    return found + [
        f"README: lacks {what}" for what, rule in README_NEEDS.items() if not re.search(rule, text)
    ]


def complaints(root: pathlib.Path, entry: pathlib.Path) -> list[str]:
    """Everything that is against the rules."""
    raw = entry.read_bytes()
    return (
        check_entry(raw, entry.stem)
        + check_cmake(root, json.loads(raw), entry.stem)
        + check_repository(root, entry.stem)
    )


if __name__ == "__main__":
    found = complaints(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
    print("\n".join(found) or "all rules kept")
    sys.exit(bool(found))

"""Imports run one way: each package of the library uses only those below it, and none runs in a circle."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

#: What is run here is measured by the core's own tests.
pytestmark = pytest.mark.no_cover

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "HippoSegLib"

#: From the bottom to the top. Packages on one line may not use each other.
LAYERS = (
    ("errors", "labels", "flags", "resources"),
    ("geometry", "dependencies"),
    ("io",),
    ("preprocessing",),
    ("models",),
    ("localization",),
    ("options",),
    ("results",),
    ("reference",),
    ("dicom_objects",),
    ("pipeline",),
    ("batch",),
    ("evaluation",),
    ("bids",),
    ("report",),
    ("review",),
    ("training",),
    ("finetuning",),
    ("worker",),
    ("commands",),
    ("cli",),
    ("__main__",),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
MODULES = sorted(LIBRARY.rglob("*.py"))


def package(path: Path) -> str:
    """First folder (or file) below the library that a file belongs to."""
    return path.relative_to(LIBRARY).with_suffix("").parts[0]


def imported(path: Path) -> dict[str, int]:
    """Package of the library -> the line on which the file imports it, annotations left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            node.body = [ast.Pass()]
    here = ("HippoSegLib", *path.relative_to(LIBRARY).parts[:-1])
    found: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else ()
            names = [*base, *(node.module.split(".") if node.module else [])]
            for alias in node.names:
                whole = [*names, alias.name]
                if whole[0] == "HippoSegLib" and len(whole) > 1:
                    found.setdefault(whole[1], node.lineno)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                words = alias.name.split(".")
                if words[0] == "HippoSegLib" and len(words) > 1:
                    found.setdefault(words[1], node.lineno)
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(LIBRARY).as_posix())
def test_imports_run_downwards(path):
    own = package(path)
    if own == "__init__":
        return  # offers the top of the library lazily
    assert own in LEVEL, f"{own} has no place among the layers"
    for name, line in imported(path).items():
        if name in ("__version__", own):
            continue
        assert name in LEVEL, f"{path.name}:{line} imports {name}, which has no place among the layers"
        assert LEVEL[name] < LEVEL[own], f"{path.name}:{line}: {own} may not use {name}"


def imported_modules(path, names):
    """Which of `names`, dotted, a module imports from within the library."""
    here = ("HippoSegLib", *path.relative_to(LIBRARY).parts[:-1])
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = ".".join([*here[: len(here) - node.level + 1], *filter(None, [node.module])])
            targets = ((f"{base}.{alias.name}", base) for alias in node.names)
            found |= {next((name for name in pair if name in names), "") for pair in targets}
    return found - {""}


def test_no_circle_within_a_package():
    """Modules of one package do not import each other in a circle (imports inside functions included)."""
    names = {".".join(("HippoSegLib", *p.relative_to(LIBRARY).with_suffix("").parts)): p for p in MODULES}
    edges = {name: imported_modules(path, names) - {name} for name, path in names.items()}
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        raise AssertionError(f"imports run in a circle: {' -> '.join(error.args[1])}") from error


def test_the_core_knows_nothing_of_slicer():
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module or ""]
            for module in modules:
                assert module.split(".")[0] not in ("slicer", "qt", "ctk", "vtk"), f"{path.name}: {module}"


@pytest.mark.parametrize("module", ["HippoSegLib", "HippoSegLib.pipeline", "HippoSegLib.cli"])
def test_heavy_packages_are_imported_where_they_are_used(module):
    code = (
        f"import sys, {module}\n"
        "heavy = {'torch', 'skimage', 'pywt', 'matplotlib', 'optuna', 'highdicom'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)

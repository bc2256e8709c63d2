"""The lists of files that are packaged: what they must hold, and writing them anew.

usage: python Testing/slicer_module/cmake_lists.py     (after a file was added or removed)
"""

from __future__ import annotations

import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]

#: List file -> (its comment, variable, folder the paths are relative to, patterns below it).
LISTS = {
    "HippoSegLib/Files.cmake": (
        "Every script of the library, relative to the top of the sources.",
        "HIPPOSEG_LIBRARY_SCRIPTS",
        ".",
        ["HippoSegLib/**/*.py"],
    ),
    "Resources/Files.cmake": (
        "Models, tissue map, sample scan and the library's pages, relative to the top of the sources.",
        "HIPPOSEG_RESOURCES",
        ".",
        [
            "Resources/Models/**/* Resources/SampleData/**/* Resources/TissueMap/**/* "
            "HippoSegLib/**/*.html HippoSegLib/**/*.css HippoSegLib/**/*.js"
        ],
    ),
    "HippoSeg/Files.cmake": (
        "Scripts and resources of the module.",
        "HIPPOSEG_MODULE_SCRIPTS HIPPOSEG_MODULE_RESOURCES",
        "HippoSeg",
        ["*.py HippoSegSlicer/**/*.py", "Resources/**/*"],
    ),
}
#: What is no part of the package wherever it lies.
LEFT_OUT = ("__pycache__", ".DS_Store")


def files(folder: str, patterns: str) -> list[str]:
    """The files below a folder that match, relative to it."""
    base = ROOT / folder
    found = {path for pattern in patterns.split() for path in base.glob(pattern) if path.is_file()}
    names = (path.relative_to(base) for path in found)
    return sorted(name.as_posix() for name in names if not set(name.parts) & set(LEFT_OUT))


def text(name: str) -> str:
    """What a list file must hold."""
    comment, variables, folder, patterns = LISTS[name]
    blocks = [
        f"set({variable}\n" + "".join(f"  {file}\n" for file in files(folder, pattern)) + "  )\n"
        for variable, pattern in zip(variables.split(), patterns, strict=True)
    ]
    return f"# {comment} Written by Testing/slicer_module/cmake_lists.py.\n" + "\n".join(blocks)


if __name__ == "__main__":
    for one in LISTS:
        (ROOT / one).write_text(text(one), encoding="utf-8", newline="\n")
        print(one)

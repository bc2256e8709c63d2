"""What a BIDS derivative says of itself: `dataset_description.json`, `README`, `.bidsignore`."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .. import __version__
from ..batch.tablefile import write_bytes
from ..errors import OutputError
from ..io.folder_lock import folder_lock
from .sidecars import json_text

DESCRIPTION, IGNORE = "dataset_description.json", ".bidsignore"
#: What BIDS has no name for. With a slash at its end, `sub-*/figures` would match nothing (validator 3.0.2).
_IGNORED = (
    "*.html",
    "*.pdf",
    "*_volumes.tsv",
    "*_volumes.json",
    "*_entropy.nii.gz",
    "*_entropy.json",
    "*_record.json",
    "*_record.log",
    "group_*.tsv",
    "group_*.json",
    "review.csv",
    "sub-*/figures",
)
_CODE = "https://github.com/HippoSeg/SlicerHippoSeg"
_README = """# HippoSeg

Left and right hippocampus in the T1w images of a BIDS data set. Not for clinical use.

- `*_seg-hipposeg_dseg.nii.gz`: labels 17 (left), 53 (right); `*_seg-hipposegparts_dseg.nii.gz`: parts.
- `*_seg-hipposeg_volumes.tsv`: volumes and quality; what each column means stands in the JSON file beside it.
- `sub-*/figures`: a picture of each result, to be looked at.
- `*_record.json`: what became of a scan, with what, and how; of failed ones too.
- `group_hippocampus.tsv`: all scans, by the group level; `group_excluded.tsv`: those left out, and why.
"""


def describe(output: Path, raw: Path) -> None:
    """Write the derivative's own files, where they are missing or of another version.

    Args:
        output: The derivative; made if it is missing.
        raw: The data set that it is made from.

    Raises:
        OutputError: It cannot be written, or is of another program (code "not_ours").
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"The output folder '{output.name}' cannot be made ({error.strerror}).",
            "Choose another folder, or change its permissions.",
        ) from error
    with folder_lock(output):
        refuse_others(output)
        text = json_text(_description(output, raw))
        write_bytes(output / DESCRIPTION, text.encode("utf-8"))
        write_bytes(output / IGNORE, _with_ours(output / IGNORE).encode("utf-8"))
        if not (output / "README").exists() and not (output / "README.md").exists():
            write_bytes(output / "README", _README.encode("utf-8"))


def is_ours(output: Path) -> bool:
    """Whether a folder is a BIDS derivative that HippoSeg made."""
    return _maker(output) == "hipposeg"


def refuse_others(output: Path) -> None:
    """Refuse a folder that is a data set of something else.

    Raises:
        OutputError: It is.
    """
    if (output / DESCRIPTION).exists() and not is_ours(output):
        raise OutputError(
            "The output folder is a BIDS data set that HippoSeg did not make.",
            "Choose a folder of its own, such as the data set's derivatives/hipposeg.",
            "not_ours",
        )


def _maker(folder: Path) -> str | None:
    try:
        made = json.loads((folder / DESCRIPTION).read_bytes())["GeneratedBy"]
        return str(made[0]["Name"]).lower()
    except (OSError, ValueError, KeyError, IndexError, TypeError, RecursionError):
        return None


def _description(output: Path, raw: Path) -> dict[str, Any]:
    said: Any = {}
    with suppress(OSError, ValueError, RecursionError):
        said = json.loads((raw / DESCRIPTION).read_bytes())
    said = said if isinstance(said, dict) else {}
    link = _link(output, raw)
    source: dict[str, Any] = {"URL": link}
    if isinstance(said.get("DatasetDOI"), str):
        source["DOI"] = said["DatasetDOI"]
    return {
        "Name": "HippoSeg: volumes of both hippocampi",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "hipposeg", "Version": __version__, "CodeURL": _CODE}],
        "SourceDatasets": [source],
        "DatasetLinks": {"raw": link},
    }


def _link(output: Path, raw: Path) -> str:
    """The raw data set as seen from the derivative: relative, so that both can be moved together."""
    try:
        relative = os.path.relpath(raw.resolve(), output.resolve()).replace(os.sep, "/")
        return quote(relative) + "/"
    except ValueError:  # another drive
        return raw.resolve().as_uri()


def _with_ours(path: Path) -> str:
    """The file's lines, and those of ours that it lacks: whoever added some keeps them."""
    lines: list[str] = []
    with suppress(OSError, UnicodeDecodeError):
        lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join([*lines, *(line for line in _IGNORED if line not in lines)]) + "\n"

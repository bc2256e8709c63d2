"""One vocabulary: words that were retired for the field's own do not come back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

#: What is run here is measured by the core's own tests.
pytestmark = pytest.mark.no_cover

ROOT = Path(__file__).resolve().parents[2]
#: Retired word -> the term that took its place.
RETIRED = {
    r"street": "pipeline",
    r"closer look|close-?ups? network": "refinement network",
    r"la(y|id) back": "brought back to the scan's grid",
    r"load_hosts|the hosts": "background context",
    r"a peer('s)?\b": "hippodeep, by name",
    r"bridges? from": "",
    r"doubts": "warnings",
}
#: Where a retired word is history: the page of conclusions names files of a commit, the changelog old names.
HISTORY = {"CONCLUSIONS.md", "CHANGELOG.md", Path(__file__).name}
FILES = sorted(
    path
    for folder in ("HippoSegLib", "HippoSeg", "Testing", ".")
    for pattern in ("*.py", "*.md", "*.ui")
    for path in ((ROOT / folder).rglob(pattern) if folder != "." else ROOT.glob(pattern))
    if path.name not in HISTORY and "egg-info" not in path.as_posix()
)


@pytest.mark.parametrize("word", RETIRED)
def test_retired_words_stay_retired(word):
    # A name of several words, such as `_street`, has them too.
    expression = re.compile(rf"(?<![a-z])({word})", re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:90]}"
        for path in FILES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if expression.search(line)
    ]
    assert not found, f"say {RETIRED[word] or 'it otherwise'}:\n" + "\n".join(found[:20])

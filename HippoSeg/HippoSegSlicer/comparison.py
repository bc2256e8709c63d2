"""How a result compares with the site's own reference; the comparison stands on the segmentation node."""

from __future__ import annotations

import json
import os

from HippoSegLib.errors import HippoSegError
from HippoSegLib.flags import Flag, doubted_sides
from HippoSegLib.reference import (
    Judgement,
    Person,
    Reference,
    identity_of,
    judge,
    judgement_of,
    read_reference,
)

from . import scene

#: Attribute of a segmentation node: the judgement, as JSON.
JUDGEMENT = "HippoSeg.Reference"


class References:
    """Reads a reference's file once, and again when it has changed."""

    def __init__(self):
        self._stamp: tuple[str, int] | None = None
        self._found: Reference | None = None
        self._error: HippoSegError | None = None

    def read(self, path: str) -> Reference:
        """The reference.

        Raises:
            InputError: It cannot be read.
        """
        try:
            time = os.stat(path).st_mtime_ns
        except OSError:
            time = 0
        stamp = (path, time)
        if stamp != self._stamp:
            self._stamp, self._found, self._error = stamp, None, None
            try:
                self._found = read_reference(path)
            except HippoSegError as error:
                self._error = error
        if self._found is None:
            assert self._error is not None  # one of the two was set
            raise self._error
        return self._found


def compare(segmentationNode, reference: Reference | None, person: Person) -> bool:
    """Compare a result's volumes as they stand on its node; returns whether anything changed.

    Args:
        segmentationNode: The result.
        reference: Of the site; None takes the comparison away.
        person: Who was scanned.
    """
    text = ""
    if reference is not None:
        row = json.loads(segmentationNode.GetAttribute(scene.ROW) or "{}")
        provenance = json.loads(segmentationNode.GetAttribute(scene.PROVENANCE) or "{}")
        flags = json.loads(segmentationNode.GetAttribute(scene.FLAGS) or "[]")
        names = (Flag(flag["code"], "", flag.get("side")).name for flag in flags)
        madeBy = identity_of(provenance)
        judgement = judge(reference, row, person, madeBy, doubted=doubted_sides(names))
        text = json.dumps(judgement.to_dict(), sort_keys=True)
    if text == (segmentationNode.GetAttribute(JUDGEMENT) or ""):
        return False
    segmentationNode.SetAttribute(JUDGEMENT, text or None)
    return True


def judgementOf(segmentationNode) -> Judgement | None:
    """The comparison that stands on a result; None where there is none."""
    text = segmentationNode.GetAttribute(JUDGEMENT)
    try:
        return judgement_of(json.loads(text)) if text else None
    except ValueError:
        return None

"""What a scheduler is given for a chunk of scans: it is unpacked where it is done.

The scheduler itself loads this module, and nothing more of HippoSeg or of image processing.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cluster_chunk import Chunk


def packed(chunk: Chunk) -> bytes:
    """A chunk as the scheduler keeps it."""
    return pickle.dumps(chunk)


def run(data: bytes) -> list[dict[str, Any]]:
    """Segment the scans of a chunk, on a worker; see `cluster_chunk.segment_chunk`."""
    from .cluster_chunk import segment_chunk

    return segment_chunk(pickle.loads(data))

"""How a result came about, for the foot of the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..batch.record import ScanRecord
from .definitions import PROTOCOL_WORDS


def provenance_words(record: ScanRecord) -> tuple[tuple[str, str], ...]:
    """Label and value: versions, model, protocol, the scan's grid."""
    versions = _mapping(record.provenance.get("versions"))
    pairs = (
        ("HippoSeg", str(versions.get("HippoSeg", ""))),
        ("Model", _readers(record)),
        ("Protocol", _protocol(record)),
        ("Scan", _voxels(_mapping(record.provenance.get("input_geometry")))),
        ("Scan's SHA-256", (record.source.sha256 or "")[:16]),
        ("Packages", _packages(versions) if record.model else ""),
    )
    return tuple(pair for pair in pairs if pair[1])


def _readers(record: ScanRecord) -> str:
    second = _mapping(_mapping(record.provenance.get("settings")).get("second_reader"))
    names = " and ".join(str(one) for one in (record.model, second.get("name")) if one)
    sha256 = str(_mapping(record.provenance.get("model")).get("sha256", ""))[:12]
    return f"{names} ({sha256})" if names else ""


def _protocol(record: ScanRecord) -> str:
    protocol = str(_mapping(record.provenance.get("settings")).get("protocol", ""))
    if not record.model:
        return ""
    return f"{protocol}: {PROTOCOL_WORDS[protocol]}" if protocol in PROTOCOL_WORDS else protocol


def _voxels(geometry: Mapping[str, Any]) -> str:
    size, spacing = geometry.get("size"), geometry.get("spacing_mm")
    try:
        shape = " × ".join(f"{int(n)}" for n in size or ())
        return f"{shape} voxels of {' × '.join(f'{float(s):.3g}' for s in spacing or ())} mm" if shape else ""
    except (TypeError, ValueError):
        return ""


def _packages(versions: Mapping[str, Any]) -> str:
    names = ("Python", "numpy", "scipy", "SimpleITK")
    return ", ".join(f"{name} {versions[name]}" for name in names if name in versions)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}

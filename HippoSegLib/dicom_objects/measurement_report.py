"""The volumes as a DICOM structured report, TID 1500: a group of measurements for each segment.

Beside a reference, a side's volume has its percentile and z among the controls (CID 7465).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..labels import SIDES
from ..reference.values import Judged, judgement_of
from .segmentation import MAKER, REPORT_SERIES, equipment, series_number
from .source import SourceSeries
from .structures import CATEGORY, HIPPOCAMPUS, WHOLES, Structure, concept

if TYPE_CHECKING:
    from highdicom.seg import Segmentation
    from highdicom.sr import (
        Comprehensive3DSR,
        FindingSite,
        Measurement,
        MeasurementProperties,
        ObservationContext,
        ReferencedSegment,
        TrackingIdentifier,
    )
    from highdicom.sr.templates import Template


@dataclass(frozen=True)
class Rank:
    """Where a volume lies among those of a reference's controls.

    Attributes:
        percentile: 0..100.
        z: In standard deviations.
        population: Whom it was compared with, and how sure the percentile is; a sentence without identity.
    """

    percentile: float
    z: float
    population: str


def ranks_of(provenance: Mapping[str, Any]) -> dict[str, Rank]:
    """side -> its rank, from what a result's provenance says of its comparison with a reference."""
    judgement = judgement_of(provenance.get("reference"))
    if judgement is None:
        return {}
    notes = " ".join(note.sentence for note in judgement.notes)
    return {
        side: Rank(one.percentile, one.z, f"{_population(judgement.controls, one)} {notes}".strip())
        for side, one in judgement.measures.items()
        if side in SIDES
    }


def _population(controls: int, judged: Judged) -> str:
    return (
        f"{controls} controls of the site's own reference, brought to this age, sex and head size; 95 % "
        f"interval of the percentile: {judged.percentile_low:.1f} to {judged.percentile_high:.1f}."
    )


def measurement_report(
    volumes: Mapping[str, float | None],
    ranks: Mapping[str, Rank],
    structures: Sequence[Structure],
    segmented: Segmentation,
    source: SourceSeries,
    model: Mapping[str, str],
) -> Comprehensive3DSR:
    """The report of a segmentation's volumes.

    Args:
        volumes: Column of `results.volumes.COLUMNS` -> mm³.
        ranks: side -> where its whole volume lies.
        structures: Of the segmentation's segments, in their order.
        segmented: The segmentation it refers to.
        source: The series.
        model: `name` and `sha256` of what made the labels.
    """
    from highdicom.sr import Comprehensive3DSR, MeasurementReport
    from pydicom.sr.codedict import codes
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    groups: list[Any] = [
        _of_segment(structure, _segment(number, segmented, source), _measured(structure, volumes, ranks))
        for number, structure in enumerate(structures, start=1)
    ]
    # Where the parts are segments, there is no segment of the whole.
    sides = {structure.side for structure in structures if structure.part}
    groups += [_of_side(s, _measured(s, volumes, ranks)) for s in WHOLES if s.side in sides]
    report = MeasurementReport(
        observation_context=_observer(model),
        procedure_reported=codes.cid100.MRIUnspecifiedBodyRegion,
        imaging_measurements=groups,
        title=codes.cid7021.ImagingMeasurementReport,
    )
    return Comprehensive3DSR(
        evidence=[segmented, *source.images],
        content=report,
        series_instance_uid=generate_uid(None),
        series_number=series_number(source, REPORT_SERIES),
        sop_instance_uid=generate_uid(None),
        instance_number=1,
        series_description=f"{MAKER} volumes",
        is_complete=True,
        is_final=False,
        is_verified=False,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **equipment(model),
    )


def _segment(
    number: int, segmented: Segmentation, source: SourceSeries
) -> tuple[ReferencedSegment, TrackingIdentifier]:
    """The reference to a segment, and how it is tracked."""
    from highdicom.sr import ReferencedSegment, SourceSeriesForSegmentation, TrackingIdentifier

    # Not by `from_segmentation`, which fails where there is one segment alone (highdicom 0.28.2).
    reference = ReferencedSegment(
        segmented.SOPClassUID,
        segmented.SOPInstanceUID,
        number,
        source_series=SourceSeriesForSegmentation(source.slices[0].identity.series),
    )
    item = segmented.SegmentSequence[number - 1]
    return reference, TrackingIdentifier(uid=item.TrackingUID, identifier=item.TrackingID)


def _of_segment(
    structure: Structure, segment: tuple[ReferencedSegment, TrackingIdentifier], measured: Measurement
) -> Template:
    from highdicom.sr import VolumetricROIMeasurementsAndQualitativeEvaluations

    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=segment[1],
        referenced_segment=segment[0],
        finding_category=concept(CATEGORY),
        finding_type=concept(HIPPOCAMPUS),
        finding_sites=[_site(structure)],
        measurements=[measured],
    )


def _of_side(structure: Structure, measured: Measurement) -> Template:
    from highdicom.sr import MeasurementsAndQualitativeEvaluations

    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracked(structure.name),
        finding_category=concept(CATEGORY),
        finding_type=concept(HIPPOCAMPUS),
        finding_sites=[_site(structure)],
        measurements=[measured],
    )


def _tracked(name: str) -> TrackingIdentifier:
    from highdicom.sr import TrackingIdentifier
    from pydicom.uid import generate_uid

    return TrackingIdentifier(uid=generate_uid(None), identifier=name)


def _site(structure: Structure) -> FindingSite:
    from highdicom.sr import FindingSite

    laterality, *part = structure.modifiers
    return FindingSite(concept(HIPPOCAMPUS), laterality, part[0] if part else None)


def _measured(
    structure: Structure, volumes: Mapping[str, float | None], ranks: Mapping[str, Rank]
) -> Measurement:
    from highdicom.sr import AlgorithmIdentification, Measurement
    from pydicom.sr.codedict import codes

    volume = volumes[structure.column]
    assert volume is not None  # a segment has voxels
    rank = None if structure.part else ranks.get(structure.side)
    return Measurement(
        name=codes.SCT.Volume,
        value=round(volume, 3),
        unit=codes.UCUM.CubicMillimeter,
        method=codes.DCM.SumOfSegmentedVoxelMethodForVolume,
        algorithm_id=AlgorithmIdentification(name=MAKER, version=__version__),
        properties=None if rank is None else _properties(rank),
    )


def _properties(rank: Rank) -> MeasurementProperties:
    from highdicom.sr import (
        MeasurementProperties,
        MeasurementStatisticalProperties,
        NumContentItem,
        RelationshipTypeValues,
    )
    from pydicom.sr.codedict import codes

    values = [
        NumContentItem(name, value, unit, relationship_type=RelationshipTypeValues.HAS_PROPERTIES)
        for name, value, unit in (
            (codes.DCM.PercentileRankingOfMeasurement, round(rank.percentile, 2), codes.UCUM.Percent),
            (codes.DCM.ZScoreOfMeasurement, round(rank.z, 3), codes.UCUM.NoUnits),
        )
    ]
    return MeasurementProperties(
        measurement_statistical_properties=MeasurementStatisticalProperties(values, rank.population)
    )


def _observer(model: Mapping[str, str]) -> ObservationContext:
    from highdicom.sr import DeviceObserverIdentifyingAttributes, ObservationContext, ObserverContext
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    device = DeviceObserverIdentifyingAttributes(
        uid=generate_uid(None, [MAKER, __version__, model["sha256"]]),
        name=MAKER,
        manufacturer_name=MAKER,
        model_name=model["name"][:64],
        serial_number=model["sha256"][:16],
    )
    return ObservationContext(
        observer_device_context=ObserverContext(
            observer_type=codes.DCM.Device, observer_identifying_attributes=device
        )
    )

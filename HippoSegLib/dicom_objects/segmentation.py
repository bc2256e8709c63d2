"""The label map as a DICOM segmentation: a binary segment per hippocampus or part, on the series' grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk

from .. import __version__
from .source import SourceSeries
from .structures import ALL_PARTS, CATEGORY, HIPPOCAMPUS, WHOLES, Structure, concept

if TYPE_CHECKING:
    from highdicom.seg import Segmentation, SegmentDescription

MAKER = "HippoSeg"
#: Last two digits of the series numbers: the series' own number comes before them.
SEGMENTATION_SERIES, REPORT_SERIES = 91, 92


def structures_in(labels: sitk.Image) -> list[Structure]:
    """The structures of a label map, in the order of their segments; absent ones have none."""
    values = set(np.unique(sitk.GetArrayViewFromImage(labels)).tolist())
    return [structure for structure in (*WHOLES, *ALL_PARTS) if structure.value in values]


def segmentation(
    labels: sitk.Image, structures: Sequence[Structure], source: SourceSeries, model: Mapping[str, str]
) -> Segmentation:
    """The segmentation object of a label map.

    Args:
        labels: On the series' grid.
        structures: Of :func:`structures_in`, at least one.
        source: The series.
        model: `name` and `sha256` of what made the labels.
    """
    from highdicom.seg import Segmentation
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    array = source.frames(sitk.GetArrayViewFromImage(labels))
    segments = np.zeros(array.shape, np.uint8)
    for number, structure in enumerate(structures, start=1):
        segments[array == structure.value] = number
    return Segmentation(
        source_images=source.images,
        pixel_array=segments,
        segmentation_type="BINARY",
        segment_descriptions=[_described(n, s, model) for n, s in enumerate(structures, start=1)],
        series_instance_uid=generate_uid(None),
        series_number=series_number(source, SEGMENTATION_SERIES),
        sop_instance_uid=generate_uid(None),
        instance_number=1,
        content_label="HIPPOCAMPUS",
        content_description="Hippocampus, segmented automatically",
        series_description=f"{MAKER} segmentation",
        omit_empty_frames=True,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **equipment(model),
    )


def equipment(model: Mapping[str, str]) -> dict[str, Any]:
    """What made an object: arguments of highdicom's classes. Its serial number is that of the model."""
    return {
        "manufacturer": MAKER,
        "manufacturer_model_name": model["name"][:64],
        "software_versions": __version__,
        "device_serial_number": model["sha256"][:16],
    }


def series_number(source: SourceSeries, ending: int) -> int:
    """The series' own number with two digits behind it."""
    own = source.slices[0].identity.number or 0
    return 100 * own + ending if 0 <= own < 10**6 else ending


def _described(number: int, structure: Structure, model: Mapping[str, str]) -> SegmentDescription:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentDescription
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    description = SegmentDescription(
        segment_number=number,
        segment_label=structure.name,
        segmented_property_category=concept(CATEGORY),
        segmented_property_type=concept(HIPPOCAMPUS),
        algorithm_type="AUTOMATIC",
        algorithm_identification=AlgorithmIdentificationSequence(
            name=MAKER,
            family=codes.cid7162.ArtificialIntelligence,
            version=__version__,
            parameters={"model": model["name"], "sha256": model["sha256"]},
        ),
        tracking_uid=generate_uid(None),
        tracking_id=structure.name,
        display_color=CIELabColor.from_rgb(*structure.color),
    )
    # highdicom has no argument for the modifiers.
    description.SegmentedPropertyTypeCodeSequence[
        0
    ].SegmentedPropertyTypeModifierCodeSequence = structure.modifiers
    return description

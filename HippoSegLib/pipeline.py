"""The pipeline: one public function, `segment`, that panel, console and command line all call.

validate -> localise -> crop ROI -> preprocess -> 3D U-Net -> scan's grid -> measure -> assess. Each stage
takes frozen values and returns new ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import SimpleITK as sitk

from .dependencies import require_packages
from .errors import Cancelled, DependencyError, DeviceError, InputError
from .flags import Flag, Status, doubted_sides, status_of
from .geometry.native_grid import native_labels, native_probabilities
from .geometry.orientation import StoredAxes, canonical_axes
from .geometry.roi import Roi, crop, roi_about, whole_image_roi
from .io.background import background_at_zero
from .io.images import Scan, check_scan
from .localization.placement import Placement, given_centres, intracranial_of, place
from .models.engines import Engine, choose
from .models.prediction import Prediction, Segmenter, predict_rois
from .models.store import Model, Networks, load_model
from .options import SegmentOptions
from .preprocessing.chain import Preprocessing, channels
from .results.assessment import Assessment, assess, uncertainty_image
from .results.plausibility import volume_flags
from .results.provenance import Provenance
from .results.quality import QualityModel
from .results.volumes import Measurements, measure
from .results.voxel_size import voxel_size_flags

Progress = Callable[[str, float], None]
Cancel = Callable[[], bool]


@dataclass(frozen=True)
class SegmentationResult:
    """What `segment` returns; every image lies on the scan's own grid, except `roi_images`.

    Attributes:
        labels: uint16; 17 left and 53 right, or with parts 171/172 and 531/532 (`labels.py`).
        probabilities: side -> float32 probability of the whole hippocampus, if asked for.
        measurements: Volumes in mm³ and what follows from them.
        flags: What a reader should know, with codes.
        provenance: Model and its SHA-256, versions, settings, seconds per stage, input geometry.
        roi_images: side -> first channel the network saw, float32, on the ROI's own grid.
        uncertainty: side -> float32 entropy, 0 (sure) to 1 (as good as guessed), if asked for.
    """

    labels: sitk.Image
    probabilities: Mapping[str, sitk.Image] | None
    measurements: Measurements
    flags: tuple[Flag, ...]
    provenance: Mapping
    roi_images: Mapping[str, sitk.Image] = field(default_factory=dict)
    uncertainty: Mapping[str, sitk.Image] | None = None

    @property
    def status(self) -> Status:
        """`review` where a flag says that the result should not be used unseen, else `ok`."""
        return status_of(self.flags)


class _Run:
    """Progress, cancelling and the seconds of each stage of one run."""

    def __init__(self, progress: Progress | None, cancel: Cancel | None):
        self._progress, self._cancel = progress, cancel
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, words: str, fraction: float):
        if self._cancel is not None and self._cancel():
            raise Cancelled()
        if self._progress is not None:
            self._progress(words, fraction)
        start = time.perf_counter()
        yield
        self.seconds[words] = round(self.seconds.get(words, 0.0) + time.perf_counter() - start, 4)

    def done(self) -> None:
        if self._progress is not None:
            self._progress("Done", 1.0)


@dataclass(frozen=True)
class _Machinery:
    """The model's networks on an engine, ready to run, and what was chosen to get there."""

    model: Model
    engine: Engine
    networks: Networks
    readers: tuple[Segmenter, ...]
    second: Model | None
    quality: QualityModel | None
    flags: tuple[Flag, ...]


@dataclass(frozen=True)
class _Located:
    """The head in canonical axes, its background at 0, with its ROIs; without `placement` it is the crop of
    one hippocampus."""

    head: sitk.Image
    restore: StoredAxes
    rois: Mapping[str, Roi]
    placement: Placement | None


def segment(
    scan: Scan | sitk.Image,
    options: SegmentOptions | None = None,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
    **changes,
) -> SegmentationResult:
    """Segment the left and right hippocampus of a T1 head.

    Args:
        scan: What `read_scan` returns; or a 3D scalar image of a head, any orientation and spacing, which
            is checked here; or, with `region_side`, the crop of one hippocampus.
        options: What is to be done, see `SegmentOptions`.
        progress: Called with the stage in words and the fraction done (0..1).
        cancel: Polled between stages; True ends the run.
        changes: Fields of `SegmentOptions` in place of those of `options`.

    Raises:
        InputError, NotFoundError, ModelError, DeviceError, DependencyError, Cancelled.
    """
    options = replace(options or SegmentOptions(), **changes)
    given = given_centres(options.points, options.boxes)
    run = _Run(progress, cancel)
    with _memory_guard(options.device):
        machinery = _prepare(run, options)
        scan = _validate(run, scan, options)
        located = _localise(run, scan, machinery, options, given)
        prediction = _predict(run, located, machinery, options.protocol)
        with run.stage("Writing labels on the scan's grid", 0.9):
            labels, probabilities, uncertainty = _to_scan_grid(located, prediction, options)
        with run.stage("Measuring", 0.95):
            seen = None if given else located.placement
            assessment = assess(located.head, prediction, machinery.quality, seen)
            intracranial = _intracranial(located, machinery)
            measurements = measure(labels, intracranial, assessment.scores)
    before = (
        *scan.flags,
        *machinery.flags,
        *(located.placement.flags if located.placement else ()),
    )
    after = (
        *_not_found_flags(prediction, measurements),
        *assessment.flags,
        *(_intracranial_flags(located, intracranial) if not given else ()),
        *_voxel_size_flags(located, assessment),
    )
    doubted = doubted_sides(flag.name for flag in (*before, *after)) if assessment.is_judged else None
    flags = (*before, *volume_flags(measurements, doubted), *after)
    provenance = _provenance(run, scan, machinery, options, given, located, assessment, flags)
    roi_images = {side: roi.image(prediction.inputs[side][0]) for side, roi in prediction.rois.items()}
    run.done()
    return SegmentationResult(
        labels, probabilities, measurements, flags, provenance.to_dict(), roi_images, uncertainty
    )


def network_input(
    scan: Scan | sitk.Image,
    options: SegmentOptions | None = None,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
    **changes,
) -> dict[str, list[sitk.Image]]:
    """What the network would see: side -> its channels, float32, on the ROI's own grid.

    Arguments and errors are those of :func:`segment`. A right side's grid is left-handed (mirrored);
    its geometry says so, and a viewer puts it where it belongs.
    """
    options = replace(options or SegmentOptions(), **changes)
    given = given_centres(options.points, options.boxes)
    run = _Run(progress, cancel)
    with _memory_guard(options.device):
        machinery = _prepare(run, options)
        located = _localise(run, _validate(run, scan, options), machinery, options, given)
        with run.stage("Preparing the regions", 0.6):
            result = {
                side: [
                    roi.image(channel)
                    for channel in channels(crop(located.head, roi), machinery.readers[0].preprocessing)
                ]
                for side, roi in located.rois.items()
            }
    run.done()
    return result


@contextmanager
def _memory_guard(device: str):
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # torch.OutOfMemoryError, its CPU allocator's and ITK's complaint are all RuntimeErrors.
        if isinstance(error, RuntimeError) and "memory" not in str(error).lower():
            raise
        raise DeviceError(
            f"Memory ran out (device: {device}).",
            "Close other programs, or choose cpu as the device.",
            "out_of_memory",
        ) from error


def _prepare(run: _Run, options: SegmentOptions) -> _Machinery:
    """Engine, model and preprocessing."""
    with run.stage("Loading the model", 0.02):
        engine = options.engine
        if not isinstance(engine, Engine):
            engine = choose(engine, options.device, options.threads)
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(engine.threads)
        model = options.model if isinstance(options.model, Model) else load_model(options.model)
        if not options.region and model.card.localizer is None:
            raise InputError(
                f"Model '{model.name}' segments the crop of one hippocampus; it has no localiser that finds "
                "it in a head.",
                "Give crops and their side, or choose a model for whole heads.",
                "crops_only",
            )
        trained = model.card.segmenter.preprocessing
        used = trained if options.preprocessing is None else trained.changed(options.preprocessing)
        if len(used.channels) != len(trained.channels):
            raise InputError(
                f"The model wants {len(trained.channels)} channels, but is given {len(used.channels)}.",
                "Change steps and parameters, not the number of channels.",
            )
        require_packages(used.packages)
        networks = model.networks(engine)
        readers = [Segmenter(networks.segmenter, used)]
        second = model.second() if options.second_reader else None
        if second is not None:
            _require_second(second)
            network = second.networks(engine).segmenter
            readers.append(Segmenter(network, second.card.segmenter.preprocessing))
        quality = QualityModel.from_card(model.card.quality)
        unused = trained.without_effect(options.preprocessing)
        flags = (*_preprocessing_flags(used, trained), *map(no_effect, unused))
        return _Machinery(model, engine, networks, tuple(readers), second, quality, flags)


def _require_second(second: Model) -> None:
    """The packages of the second reader; without them there is the model's own one."""
    try:
        require_packages(second.card.segmenter.preprocessing.packages)
    except DependencyError as error:
        remedy = f"{error.remedy} Or let the model's own reader alone read, which needs none."
        raise DependencyError(error.cause, remedy, "second_reader") from error


def no_effect(step: str) -> Flag:
    """The remark on a step that is to be left out of a model that does not have it."""
    return Flag(
        "no_effect", f"The model has no step {step}: leaving it out changes nothing.", severity="info"
    )


def _preprocessing_flags(used: Preprocessing, trained: Preprocessing) -> tuple[Flag, ...]:
    differences = used.differs_from(trained)
    if not differences:
        return ()
    text = f"Preprocessing differs from what the model was trained with: {'; '.join(differences)}."
    return (Flag("preprocessing", text),)


def _validate(run: _Run, scan: Scan | sitk.Image, options: SegmentOptions) -> Scan:
    """The scan, checked once: one that was read by `read_scan` has been."""
    with run.stage("Checking the image", 0.1):
        if isinstance(scan, Scan):
            if scan.region != options.region:
                raise InputError(
                    "The scan was checked as a crop of one hippocampus, but is to be segmented as a head, or "
                    "the reverse.",
                    "Read it with the same region setting.",
                )
            return scan
        return check_scan(scan, options.region)


def _localise(
    run: _Run, scan: Scan, machinery: _Machinery, options: SegmentOptions, given: Mapping
) -> _Located:
    """The head in canonical axes, its background at 0, and where its ROIs go."""
    part = machinery.model.card.segmenter
    spacing, size = part.spacing_mm, part.roi_size
    head, restore = canonical_axes(scan.image)
    with run.stage("Finding the hippocampi", 0.2):
        head = background_at_zero(head, options.region)
        if options.region_side is not None:
            roi = whole_image_roi(head, options.region_side, spacing, size, part.network.divisor)
            return _Located(head, restore, {options.region_side: roi}, None)
        placement = place(head, machinery.networks, given)
        axes = placement.localization.pose.axes
        rois = {side: roi_about(c, axes, side, size, spacing) for side, c in placement.centres.items()}
        return _Located(head, restore, rois, placement)


def _predict(run: _Run, located: _Located, machinery: _Machinery, protocol: str) -> Prediction:
    fixed = located.rois if located.placement is None else located.placement.refined
    return predict_rois(located.head, located.rois, machinery.readers, protocol, fixed, run.stage)


def _to_scan_grid(located: _Located, prediction: Prediction, options: SegmentOptions):
    """Label map, and probability and uncertainty maps where they are asked for, as the scan is stored."""
    head, rois, maps = located.head, prediction.rois, prediction.maps
    labels = native_labels(head, rois, maps, options.parts, located.restore)
    if not (options.probabilities or options.uncertainty):
        return labels, None, None
    probabilities = {
        side: located.restore(image) for side, image in native_probabilities(head, rois, maps).items()
    }
    uncertainty = None
    if options.uncertainty:
        uncertainty = {side: uncertainty_image(image) for side, image in probabilities.items()}
    return labels, probabilities if options.probabilities else None, uncertainty


def _intracranial(located: _Located, machinery: _Machinery) -> float | None:
    """Intracranial volume in mm³, None where it is unknown or cut by the field of view."""
    if located.placement is None:
        return None
    return intracranial_of(located.head, machinery.networks, located.placement)


def _intracranial_flags(located: _Located, intracranial: float | None) -> tuple[Flag, ...]:
    if located.placement is None or intracranial is not None:
        return ()
    text = "The field of view cuts the intracranial space: its volume is not given."
    return (Flag("intracranial_cut", text, severity="info"),)


def _voxel_size_flags(located: _Located, assessment: Assessment) -> list[Flag]:
    if located.placement is None or located.placement.size is None:
        return []
    return voxel_size_flags(located.placement.size, assessment.lengths, located.head)


def _not_found_flags(prediction: Prediction, measurements: Measurements) -> tuple[Flag, ...]:
    missing = [side for side in prediction.rois if side not in measurements.whole]
    return tuple(Flag("not_found", f"No {side} hippocampus was found.", side) for side in missing)


def _provenance(
    run: _Run,
    scan: Scan,
    machinery: _Machinery,
    options: SegmentOptions,
    given: Mapping,
    located: _Located,
    assessment: Assessment,
    flags: tuple[Flag, ...],
) -> Provenance:
    settings = {
        "engine": machinery.engine.name,
        "device": machinery.engine.device,
        "device_reason": machinery.engine.reason,
        "threads": machinery.engine.threads,
        "preprocessing": machinery.readers[0].preprocessing.to_dict(),
        "protocol": options.protocol,
        "second_reader": None
        if machinery.second is None
        else {"name": machinery.second.name, "sha256": machinery.second.sha256},
        "region_side": options.region_side,
        "given_points_lps_mm": {side: [round(float(v), 3) for v in p] for side, p in given.items()},
    }
    return Provenance(
        model=machinery.model,
        settings=settings,
        image=scan.image,
        seconds=run.seconds,
        placement=located.placement,
        assessment=assessment,
        flags=flags,
    )

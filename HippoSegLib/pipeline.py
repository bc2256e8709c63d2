"""The whole street, one public function: `segment(image) -> SegmentationResult`.

image -> canonical head -> two regions -> channels -> 3D U-Net -> native-grid labels -> measurements.
The panel, the console and the command line all call it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import SimpleITK as sitk

from .errors import Cancelled, DeviceError, InputError
from .geometry.roi import Region, cut, region_about
from .io.images import canonical_axes, check_image
from .io.validation import CT_WORDS
from .labels import SIDES
from .localization.coarse import Localization
from .localization.placement import given_centres, locate, whole_image_region
from .models import devices
from .models.inference import native_labels, predict, recentred
from .models.store import Model, load_model
from .preprocessing.chain import Preprocessing, channels
from .results import provenance
from .results.flags import Flag, volume_flags
from .results.quality import QualityModel, assess, uncertainty_image
from .results.volumes import Measurements, measure


@dataclass
class SegmentationResult:
    """What `segment` returns; every image lies on the input's own grid, except `regions`.

    Attributes:
        labels: uint16; 17 left and 53 right, or with parts 171/172 and 531/532 (`labels.py`).
        probabilities: side -> float32 probability of the whole hippocampus, if asked for.
        measurements: Volumes in mm³ and what follows from them.
        flags: What a reader should know.
        provenance: Model and its SHA-256, versions, settings, seconds per stage, input geometry.
        regions: side -> first channel the network saw, float32, on the region's own grid.
        uncertainty: side -> float32, 0 (sure) to 1 (as good as guessed), if asked for; see `quality.py`.
    """

    labels: sitk.Image
    probabilities: dict[str, sitk.Image] | None
    measurements: Measurements
    flags: list[Flag]
    provenance: dict
    regions: dict[str, sitk.Image] = field(default_factory=dict)
    uncertainty: dict[str, sitk.Image] | None = None


class _Run:
    """Progress, cancelling and the seconds of each stage of one run."""

    def __init__(self, progress: Callable[[str, float], None] | None, cancel: Callable[[], bool] | None):
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


@dataclass
class _Prepared:
    """The street up to the regions."""

    model: Model
    device: str
    settings: dict
    preprocessing: Preprocessing
    head: sitk.Image
    restore: Callable[[sitk.Image], sitk.Image]
    regions: dict[str, Region]
    found: Localization | None
    flags: list[Flag]
    quality: QualityModel | None


def segment(
    image: sitk.Image,
    model: str | Path | Model | None = None,
    device: str = "auto",
    progress: Callable[[str, float], None] | None = None,
    cancel: Callable[[], bool] | None = None,
    *,
    threads: int | None = None,
    region_side: str | None = None,
    points: Mapping[str, tuple[float, float, float]] | None = None,
    boxes: Mapping[str, tuple] | None = None,
    preprocessing: Mapping | Preprocessing | None = None,
    parts: bool = False,
    probabilities: bool = False,
    uncertainty: bool = False,
) -> SegmentationResult:
    """Segment the left and right hippocampus of a T1 head.

    Args:
        image: 3D scalar image of a head, any orientation and spacing; or, with `region_side`, the
            crop of one hippocampus.
        model: Bundled name, model folder, loaded `Model`, or None for the default one.
        device: "auto", "cpu", "cuda:N" or "mps". Nothing falls back silently.
        progress: Called with the stage in words and the fraction done (0..1).
        cancel: Polled between stages; True ends the run.
        threads: CPU threads; None takes those this process may use.
        region_side: "left" or "right": the image is a crop of that hippocampus alone.
        points: side -> LPS mm of a point inside the hippocampus, where the search is to be helped.
        boxes: side -> (lower, upper) corners, LPS mm, of a box around the hippocampus; its middle is taken.
        preprocessing: Changes to what the model's card wants: `Preprocessing`, its card form, or
            {step: False or {parameter: value}}. A difference becomes a warning flag.
        parts: Label anterior and posterior apart.
        probabilities: Also return probability maps on the input's grid.
        uncertainty: Also return how uncertain each voxel is, on the input's grid.

    Raises:
        InputError, NotFoundError, ModelError, DeviceError, DependencyError, Cancelled.
    """
    run = _Run(progress, cancel)
    given = given_centres(points, boxes)
    with _memory_guard(device):
        start = _prepare(run, image, model, device, threads, region_side, given, preprocessing)
        inputs, maps = _predict_twice(run, start, recentre=region_side is None)
    with run.stage("Writing labels on the scan's grid", 0.9):
        labels, side_maps = native_labels(
            start.head, start.regions, maps, parts, probabilities or uncertainty
        )
        labels = start.restore(labels)
        side_maps = {side: start.restore(one) for side, one in side_maps.items()}
        doubt = {side: uncertainty_image(one) for side, one in side_maps.items()} if uncertainty else None
    with run.stage("Measuring", 0.95):
        found = start.found
        intracranial = None if found is None or found.intracranial_cut else found.intracranial_mm3
        judged = assess(start.head, start.regions, maps, start.quality, None if given else found)
        measurements = measure(labels, intracranial, judged.scores)
        flags = (
            start.flags + volume_flags(measurements) + _not_found_flags(start, measurements) + judged.flags
        )
        if found is not None and found.intracranial_cut and not given:
            text = "The field of view cuts the intracranial space: its volume is not given."
            flags.append(Flag("intracranial_cut", text, None, "info"))
    record = provenance.record(start.model, start.settings, image, run.seconds, found)
    if judged.scores:
        record["quality"] = judged.scores
    if judged.distances:
        record["localization"]["outline_distance_mm"] = judged.distances
    record["flags"] = [flag.message for flag in flags]
    seen = {side: region.image(inputs[side][0]) for side, region in start.regions.items()}
    if progress is not None:
        progress("Done", 1.0)
    side_maps = side_maps if probabilities else None
    return SegmentationResult(labels, side_maps, measurements, flags, record, seen, doubt)


def network_input(
    image: sitk.Image,
    model: str | Path | Model | None = None,
    device: str = "auto",
    progress: Callable[[str, float], None] | None = None,
    cancel: Callable[[], bool] | None = None,
    *,
    threads: int | None = None,
    region_side: str | None = None,
    points: Mapping | None = None,
    boxes: Mapping | None = None,
    preprocessing: Mapping | Preprocessing | None = None,
) -> dict[str, list[sitk.Image]]:
    """What the network would see: side -> its channels, float32, on the region's own grid.

    Arguments and errors are those of :func:`segment`. A right side's grid is left-handed (mirrored);
    its geometry says so, and a viewer puts it where it belongs.
    """
    run = _Run(progress, cancel)
    start = _prepare(
        run, image, model, device, threads, region_side, given_centres(points, boxes), preprocessing
    )
    with run.stage("Preparing the regions", 0.6):
        result = {
            side: [region.image(c) for c in channels(cut(start.head, region), start.preprocessing)]
            for side, region in start.regions.items()
        }
    if progress is not None:
        progress("Done", 1.0)
    return result


@contextmanager
def _memory_guard(device: str):
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # torch.OutOfMemoryError and its CPU allocator's complaint are both RuntimeErrors.
        if isinstance(error, RuntimeError) and "memory" not in str(error).lower():
            raise
        raise DeviceError(
            f"Memory ran out (device: {device}).", "Close other programs, or choose cpu as the device."
        ) from error


def _prepare(run, image, model, device, threads, region_side, given, preprocessing) -> _Prepared:
    if region_side is not None and region_side not in SIDES:
        raise InputError(f"Side '{region_side}' is not known.", "Use left or right.")
    with run.stage("Loading the model", 0.02):
        torch = devices.import_torch()
        count = threads or devices.default_threads()
        if torch.get_num_threads() != count:
            torch.set_num_threads(count)
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(count)
        device, reason = devices.resolve(device)
        if not isinstance(model, Model):
            model = load_model(model, device)
        part, quality = model.card["segmenter"], QualityModel.from_card(model.card)
        wanted = Preprocessing.from_dict(part["preprocessing"])
        used = wanted if preprocessing is None else wanted.changed(preprocessing)
        if len(used.channels) != len(wanted.channels):
            raise InputError(
                f"The model wants {len(wanted.channels)} channels, but is given {len(used.channels)}.",
                "Change steps and parameters, not the number of channels.",
            )
        if region_side is None and model.localizer is None:
            raise InputError(
                "This model segments crops only.", "Use region mode, or a model with a localiser."
            )
    with run.stage("Checking the image", 0.1):
        image, warnings = check_image(image, region=region_side is not None)
        flags = [Flag("contrast" if text == CT_WORDS else "input", text) for text in warnings]
        differences = used.differs_from(wanted)
        if differences:
            text = f"Preprocessing differs from what the model was trained with: {'; '.join(differences)}."
            flags.append(Flag("preprocessing", text))
        head, restore = canonical_axes(image)
    with run.stage("Finding the hippocampi", 0.2):
        if region_side is not None:
            found = None
            regions = {region_side: whole_image_region(head, region_side, part)}
        else:
            found, centres = locate(head, model, given, flags)
            regions = {
                side: region_about(centre, found.frame.axes, side, part["region_size"], part["spacing_mm"])
                for side, centre in centres.items()
            }
    settings = {
        "device": device,
        "device_reason": reason,
        "threads": count,
        "preprocessing": used.to_dict(),
        "region_side": region_side,
        "given_points_lps_mm": {side: [round(float(v), 3) for v in p] for side, p in given.items()},
    }
    return _Prepared(model, device, settings, used, head, restore, regions, found, flags, quality)


def _predict_twice(run: _Run, start: _Prepared, recentre: bool):
    """Channels and probabilities per side; a region that sits badly on its hippocampus is cut again, once."""
    inputs, maps, pending = {}, {}, dict(start.regions)
    for attempt in range(2 if recentre else 1):
        with run.stage("Preparing the regions", 0.4 + 0.25 * attempt):
            new = {
                side: channels(cut(start.head, region), start.preprocessing)
                for side, region in pending.items()
            }
        with run.stage("Segmenting", 0.5 + 0.25 * attempt):
            maps |= predict(start.model.segmenter, start.device, new)
        inputs |= new
        start.regions |= pending
        pending = recentred(pending, maps, start.found.closer if start.found else ())
        if not pending:
            break
    return inputs, maps


def _not_found_flags(start: _Prepared, measurements: Measurements) -> list[Flag]:
    missing = [side for side in start.regions if side not in measurements.whole]
    return [Flag("not_found", f"No {side} hippocampus was found.", side) for side in missing]

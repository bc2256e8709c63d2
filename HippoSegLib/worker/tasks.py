"""What the panel's worker can do: segment one scan or many, list devices, draw picture and report.

How images travel says :mod:`.exchange`. A request's ``run`` is how the names of the files that are
written begin.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from ..errors import DependencyError, HippoSegError
from .cohorttask import cohort_task
from .exchange import exchange_path, from_image, to_image, write_array
from .finetunetask import finetune_task
from .loadtask import load_task
from .reporttask import report_task
from .reviewtask import review_task
from .values import crop_labels, plain


def segment_task(
    request: dict,
    folder: str,
    progress: Callable[[str, float], None],
    cancel: Callable[[], bool],
    segment: Callable | None = None,
) -> dict:
    """Segment the image of a request.

    Args:
        request: ``image`` (description), ``run`` (prefix of the files written) and ``options``
            (keyword arguments of :func:`HippoSegLib.pipeline.segment`).
        segment: In place of the real function, for tests of the process alone.

    Returns:
        ``labels`` (description with ``index``, the first voxel of the box it holds),
        ``measurements``, ``row`` (columns of the volumes table), ``flags``, ``provenance`` and
        ``probabilities`` (side -> description).
    """
    import SimpleITK as sitk

    if segment is None:
        _load_libraries(progress)
        from ..pipeline import segment as whole_pipeline

        segment = whole_pipeline
    run = request.get("run", "result")
    exchange_path(folder, f"{run}-labels.npy")
    image = to_image(request["image"], folder)
    result = segment(image, progress=progress, cancel=cancel, **request.get("options", {}))
    array, index = crop_labels(sitk.GetArrayViewFromImage(result.labels))
    return {
        "labels": {"array": write_array(array, folder, f"{run}-labels.npy"), "index": index},
        "measurements": plain(result.measurements),
        "row": plain(result.measurements.as_row()),
        "flags": plain(list(result.flags)),
        "provenance": plain(result.provenance),
        "probabilities": {
            side: from_image(image, folder, f"{run}-probability-{side}.npy")
            for side, image in (result.probabilities or {}).items()
        },
    }


def preview_task(request: dict, folder: str, progress, cancel) -> dict:
    """Compute what the network would see: ``channels``, side -> list of descriptions.

    The request is that of :func:`segment_task`, its options those of
    :func:`HippoSegLib.pipeline.network_input`.
    """
    _load_libraries(progress)
    from ..pipeline import network_input

    run = request.get("run", "preview")
    exchange_path(folder, f"{run}-left-0.npy")
    image = to_image(request["image"], folder)
    seen = network_input(image, progress=progress, cancel=cancel, **request.get("options", {}))
    return {
        "channels": {
            side: [from_image(one, folder, f"{run}-{side}-{n}.npy") for n, one in enumerate(channels)]
            for side, channels in seen.items()
        }
    }


def devices_task(request: dict, folder: str, progress, cancel) -> dict:
    """List the devices that pass their probe, say what "auto" means, and load the model ahead of use.

    A GPU is offered where PyTorch is installed, which is then loaded to ask it.

    Returns:
        ``devices`` (``name``, ``description``), ``refused`` (device and reason in words), ``automatic``
        (device and reason in words).
    """
    _load_libraries(progress)
    from ..models import devices
    from ..models.engines import choose
    from ..models.store import load_model

    offered, refused = [], []
    try:
        found = devices.candidates()
    except DependencyError as error:
        found = [devices.Device("cpu", "CPU")]
        refused.append(error.cause)
    for device in found:
        reason = None if device.name == "cpu" else devices.probe(device.name)
        if reason is None:
            offered.append(plain(device))
        else:
            refused.append(f"{device.description}: {reason}")
    engine = choose()
    with contextlib.suppress(HippoSegError):  # said when a segmentation is asked for
        load_model(request.get("model")).networks(engine)
    automatic = {"name": engine.device, "reason": engine.reason}
    return {"devices": offered, "refused": refused, "automatic": automatic}


def picture_task(request: dict, folder: str, progress, cancel) -> dict:
    """Draw the quality-control figure: ``picture`` is the PNG's name in the folder.

    The request holds ``image`` and ``labels`` (descriptions) and, as
    :class:`HippoSegLib.results.qc_figure.FigureFacts` has them, ``title``, ``flags``, ``model``, ``date`` and
    ``region_side``; of the measurements ``volumes`` and ``quality`` (side -> value) and ``intracranial``.
    """
    from ..results.qc_figure import FigureFacts, qc_figure
    from ..results.volumes import Measurements

    name = f"{request.get('run', 'picture')}.png"
    volumes, quality = (
        {side: value for side, value in (request.get(key) or {}).items() if value is not None}
        for key in ("volumes", "quality")
    )
    facts = FigureFacts(
        title=request.get("title", ""),
        measurements=Measurements(volumes, intracranial=request.get("intracranial"), quality=quality),
        flags=request.get("flags", ()),
        model=request.get("model", ""),
        date=request.get("date", ""),
        region_side=request.get("region_side"),
    )
    path = exchange_path(folder, name)
    qc_figure(to_image(request["image"], folder), to_image(request["labels"], folder), path, facts, True)
    return {"picture": name}


def page_task(request: dict, folder: str, progress, cancel) -> dict:
    """Write the page about a result: see :func:`.reporttask.report_task`."""
    return report_task(request, folder, progress, cancel, picture_task)


def _load_libraries(progress: Callable[[str, float], None]) -> None:
    # What a model needs beyond the core's packages is loaded, or named, once the model is known.
    progress("Loading libraries", 0.0)
    from .. import pipeline  # noqa: F401


TASKS: dict[str, Callable[..., dict]] = {
    "segment": segment_task,
    "preview": preview_task,
    "devices": devices_task,
    "picture": picture_task,
    "report": page_task,
    "cohort": cohort_task,
    "review": review_task,
    "load": load_task,
    "finetune": finetune_task,
}

"""From a site's pairs of scan and label to training cases: read, locate, cut."""

from __future__ import annotations

from ..errors import Cancelled, HippoSegError
from ..models.store import Model
from .crop_cases import from_crop
from .head_cases import from_head
from .run_options import RunOptions
from .site import Site
from .site_case import ERROR, SiteCase
from .site_labels import SiteLabels

_DEFAULT = RunOptions()


def prepare(site: Site, base: Model, run: RunOptions = _DEFAULT) -> list[SiteCase]:
    """Read and cut every source; what is wrong with one becomes its finding, not an exception.

    Args:
        site: Which cases, and what their labels mean.
        base: The model to be fine-tuned; in whole heads, its pipeline finds the hippocampi.
        run: Device, threads, progress and cancelling.

    Raises:
        InputError: The cases are not found, or the label map cannot be read.
        Cancelled.
    """
    sources = site.sources()
    named = None if site.label_map is None else SiteLabels.read(site.label_map)
    result = []
    for number, source in enumerate(sources):
        if run.cancel():
            raise Cancelled()
        if run.progress is not None:
            run.progress(f"Reading case {number + 1} of {len(sources)}", number / len(sources))
        try:
            if site.region:
                result += from_crop(source, named, site.side)
            else:
                result += from_head(source, named, base, run)
        except Cancelled:
            raise
        except HippoSegError as error:
            failed = SiteCase(source.name, source.subject, source.role, source.side)
            result.append(failed.noted(ERROR, type(error).__name__, str(error)))
    return result

"""What to do about an error, in the panel's own words: what to click.

Errors of the core carry a remedy that is true for every entry point, and a code. Where the panel has a
control for it, its sentence stands here.
"""

from __future__ import annotations

from slicer.i18n import tr as _


def remedyFor(code: str, remedy: str) -> str:
    """Return the panel's remedy of an error with this code, or the error's own."""
    points = _(
        "If it is a head, show where the hippocampi are: “Point: left” and “Point: right”, then a click "
        "inside each."
    )
    crop = _("Choose a whole head; if this is the crop of one hippocampus, say so under “It shows”.")
    own = {
        "no_head": points,
        "no_hippocampus": points,
        "crop": crop,
        "crops_only": _("Say under “It shows” which crop it is, or choose a model for whole heads."),
        "out_of_memory": _("Close other programs, or choose the CPU under “Device”."),
        "several_series": _(
            "Load the series with Slicer's DICOM module and choose it, or give a folder that holds it alone."
        ),
        "not_installed": _(
            "Install it at the top of the panel, or let one network read alone: “Both readers” under "
            "“Advanced”."
        ),
        "no_step": _("Choose a model trained with it, or “Reset to the model's” under “Preprocessing”."),
        "label_map_values": _("Name the right values under “Label values”."),
        "side_unknown": _(
            "Choose the side under “They show”, or put it into the files' names (…_left, …_rh)."
        ),
        "no_cases": _(
            "Choose a folder with images/ and labels/ (files of the same names), or a BIDS folder with "
            "derivatives/."
        ),
        "several_labels": _("Keep one label for each scan in the folder."),
    }
    return own.get(code, remedy)

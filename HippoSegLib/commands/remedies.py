"""What to do about an error, in the command line's own words: the option that helps.

Errors of the core carry a remedy that is true for every entry point, and a code. Where the command line has
an option for it, its sentence stands here.
"""

from __future__ import annotations

from ..errors import HippoSegError

_POINTS = (
    "If it is a head, give a point inside each hippocampus: --left-point R,A,S --right-point R,A,S (mm, as "
    "viewers show them)."
)
_CROP = "Give a whole head; for the crop of one hippocampus add --region and --side left or --side right."
_OVERWRITE = "Add --overwrite to replace it, or choose another folder."
_PATTERNS = "Say which by the patterns --scans and --labels (quoted)."

#: Code of an error -> the remedy on the command line.
REMEDIES = {
    "no_head": _POINTS,
    "no_hippocampus": _POINTS,
    "crop": _CROP,
    "crops_only": "Give crops with --region and --side, or choose a model for whole heads with --model.",
    "exists": _OVERWRITE,
    "other_input": _OVERWRITE,
    "other_model": _OVERWRITE,
    "other_settings": _OVERWRITE,
    "out_of_memory": "Close other programs, or add --device cpu.",
    "second_reader": 'Install them (pip install "hipposeg[method]"), or add --single-reader: it needs none.',
    "several_series": "Choose one by its number with --series, or give a folder that holds one series.",
    "no_step": "Choose a model that has it with --model ('hipposeg info' lists them), or leave the option "
    "out.",
    "nothing_to_evaluate": "Give --scans, or --results.",
    "no_matplotlib": 'Install it with: pip install "matplotlib>=3.8", or add --no-pictures.',
    "label_map_side": "Name one in --label-map, or change --side.",
    "label_map_values": "Name the right values with --label-map.",
    "results_label_map": "Say what they mean with --results-label-map.",
    "side_of_crops": "Add --region and --side left or --side right.",
    "side_unknown": "State it with --side, in the file's name (…_left, …_rh), or in a table with --table.",
    "one_pattern": "Give both --scans and --labels.",
    "several_labels": _PATTERNS,
    "no_cases": "Give a folder with images/ and labels/ (files of the same names), a BIDS folder with "
    "derivatives/, or the patterns --scans and --labels.",
    "unusable_cases": "Correct them, or add --leave-out.",
    "doubtful_labels": "Check the pairs and --label-map; with --anyway it goes on nevertheless.",
    "no_trial": "Look at the cases with: hipposeg finetune SITE --check-only.",
    "not_dicom": "Give the folder with the DICOM series, or leave --dicom-seg and --dicom-sr out.",
    "no_background": "Leave out --background, or name the folder of heads.",
}


def in_words(error: HippoSegError) -> str:
    """Cause and remedy, as the command line prints them."""
    return f"{error.cause} {REMEDIES.get(error.code, error.remedy)}".strip()

"""Options that several commands share, and their meaning in the core's terms."""

from __future__ import annotations

import argparse
import math
import re

from ..errors import InputError
from ..labels import SIDES
from ..models.engines import ENGINES
from ..models.protocols import PROTOCOLS
from ..options import SegmentOptions


def add_input_options(parser: argparse.ArgumentParser) -> None:
    """Options that say what the scan is and where the hippocampi are."""
    group = parser.add_argument_group("input")
    group.add_argument(
        "--region", action="store_true", help="the image is the crop of one hippocampus; give --side"
    )
    group.add_argument("--side", choices=SIDES, help="with --region: which hippocampus the crop shows")
    group.add_argument("--series", help="which series of a DICOM folder, by its number")
    rescue = parser.add_argument_group(
        "where the search needs help (RAS mm, as Slicer and most viewers show them)",
    )
    for side in SIDES:
        rescue.add_argument(f"--{side}-point", metavar="R,A,S", help=f"a point inside the {side} hippocampus")
        rescue.add_argument(
            f"--{side}-box",
            metavar="R,A,S,R,A,S",
            help=f"two opposite corners of a box around the {side} hippocampus",
        )


def add_dicom_options(parser: argparse.ArgumentParser) -> None:
    """Options that add DICOM objects to the results of DICOM series."""
    group = parser.add_argument_group(
        "DICOM objects for an archive (scans must be DICOM series; they carry the patient's identity)"
    )
    group.add_argument("--dicom-seg", action="store_true", help="also write a DICOM segmentation")
    group.add_argument(
        "--dicom-sr",
        action="store_true",
        help="also write a DICOM report of the volumes, and the segmentation, to which it refers",
    )


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Options for model, device and preprocessing."""
    group = parser.add_argument_group("model and machine")
    group.add_argument(
        "--model", help="name of a bundled model, or a model folder (default: the bundled one)"
    )
    group.add_argument(
        "--single-reader",
        action="store_true",
        help="the model's own reader alone, where it has a second one: faster, no warning of disagreement",
    )
    group.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        default=PROTOCOLS[0],
        help="full: the whole hippocampus; msd: without the tail beyond the border that the Medical "
        "Segmentation Decathlon draws; do not mix their volumes (default: full)",
    )
    group.add_argument(
        "--engine",
        choices=ENGINES,
        default="auto",
        help="what computes the networks: numpy (CPU), torch (PyTorch), or what is fastest (default: auto)",
    )
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (default: auto)")
    group.add_argument("--threads", type=_positive, help="CPU threads (default: the idle CPUs, at most 8)")
    steps = parser.add_argument_group(
        "preprocessing (default: what the model was trained with; the steps of models that have them, "
        "such as hipposeg_clahe_sce)"
    )
    steps.add_argument("--no-clahe", action="store_true", help="leave the contrast equalisation (CLAHE) out")
    steps.add_argument("--clahe-clip-limit", type=float, metavar="X")
    steps.add_argument("--clahe-kernel", metavar="Z,Y,X", help="tile size in voxels")
    steps.add_argument("--no-sce", action="store_true", help="leave the wavelet step (SCE-3DWT) out")
    steps.add_argument(
        "--sce-factor", type=float, metavar="X", help="below 1 damps detail, above 1 enhances it"
    )
    steps.add_argument("--sce-threshold", type=float, metavar="X")
    steps.add_argument("--sce-levels", type=int, metavar="N")
    steps.add_argument("--sce-wavelet", metavar="NAME")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


def _numbers(text: str, count: int, option: str) -> list[float]:
    try:
        # Numbers copied from a viewer or a document may bear a typographic minus, or spaces.
        values = [float(word) for word in re.split(r"[,;\s]+", text.strip().replace("\u2212", "-"))]
    except ValueError:
        values = []
    if len(values) != count or not all(map(math.isfinite, values)):
        example = ",".join(("-26.5", "-13", "-16", "-18", "8", "2")[:count])
        raise InputError(f"{option} takes {count} numbers, separated by commas.", f"For instance {example}.")
    return values


def _lps(ras: list[float]) -> tuple[float, float, float]:
    return (-ras[0], -ras[1], ras[2])


def segment_options(args: argparse.Namespace) -> SegmentOptions:
    """What is to be done, from parsed options; those that a command does not have keep their defaults.

    Raises:
        InputError: Options that do not fit together or cannot be read.
    """
    if args.region and args.side is None:
        raise InputError("With --region the side must be stated.", "Add --side left or --side right.")
    if args.side is not None and not args.region:
        raise InputError("--side is only for crops.", "Add --region, or leave --side out.")
    points, boxes = {}, {}
    for side in SIDES:
        point, box = getattr(args, f"{side}_point"), getattr(args, f"{side}_box")
        if point is not None and box is not None:
            raise InputError(
                f"--{side}-point and --{side}-box say where the same hippocampus is.", "Give one of them."
            )
        if point is not None:
            points[side] = _lps(_numbers(point, 3, f"--{side}-point"))
        if box is not None:
            values = _numbers(box, 6, f"--{side}-box")
            boxes[side] = (_lps(values[:3]), _lps(values[3:]))
    if args.region and (points or boxes):
        raise InputError("Points and boxes are for whole heads.", "Leave them out, or leave --region out.")
    outputs = {name: getattr(args, name, False) for name in ("parts", "probabilities", "uncertainty")}
    return SegmentOptions(
        model=args.model,
        engine=args.engine,
        device=args.device,
        threads=args.threads,
        region_side=args.side,
        points=points or None,
        boxes=boxes or None,
        preprocessing=preprocessing_changes(args) or None,
        second_reader=not args.single_reader,
        protocol=args.protocol,
        **outputs,
    )


def preprocessing_changes(args: argparse.Namespace) -> dict:
    """Changes to the card's preprocessing, in the form of `Preprocessing.changed`."""
    clahe = {"clip_limit": args.clahe_clip_limit}
    if args.clahe_kernel is not None:
        clahe["kernel_size"] = [int(v) for v in _numbers(args.clahe_kernel, 3, "--clahe-kernel")]
    sce = {name: getattr(args, f"sce_{name}") for name in ("factor", "threshold", "levels", "wavelet")}
    changes: dict[str, bool | dict] = {}
    for step, off, values in (("clahe_3d", args.no_clahe, clahe), ("sce_dwt_3d", args.no_sce, sce)):
        given = {name: value for name, value in values.items() if value is not None}
        if off and given:
            raise InputError(
                "A preprocessing step is to be left out, and a parameter of it is given.", "Give one of both."
            )
        if off:
            changes[step] = False
        elif given:
            changes[step] = given
    return changes


class ProgressLine:
    """One line on the terminal that is rewritten; plain lines where the output is no terminal."""

    def __init__(self, stream):
        self.stream, self.live, self.last = stream, stream.isatty(), ""

    def __call__(self, scan: str, words: str, fraction: float) -> None:
        text = f"{scan}: {words} ({100 * fraction:.0f} %)"
        if self.live:
            self.stream.write("\r" + text.ljust(len(self.last)))
        elif words != "Done":
            self.stream.write(text + "\n")
        self.last = text
        self.stream.flush()

    def clear(self) -> None:
        """Take the live line away before something else is printed."""
        if self.live and self.last:
            self.stream.write("\r" + " " * len(self.last) + "\r")
            self.last = ""

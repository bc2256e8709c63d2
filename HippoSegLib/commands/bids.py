"""``hipposeg-bids``: the BIDS App. A data set in, a derivative out; a derivative in, one table of it out."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import SOME_FAILED, Cancelled, DependencyError, HippoSegError
from .arguments import joined
from .batch_output import run_batch
from .bids_options import build_parser, resources, settle
from .comparison import comparison_of
from .options import segment_options
from .remedies import in_words
from .streams import steady_output
from .termination import stop_on_termination

if TYPE_CHECKING:
    import argparse

    from ..batch.source import Source
    from ..bids.filters import Filters
    from ..reference.comparison import Comparison

_DATA, _UNAVAILABLE, _SOFTWARE, _CREATE, _WRITE, _AGAIN = 65, 69, 70, 73, 74, 75
#: Kind of an error -> exit code (sysexits.h); an error of a BIDS data set has its own.
_CODES = {
    "input": _DATA,
    "not_found": _DATA,
    "model": _SOFTWARE,
    "output": _CREATE,
    "device": _AGAIN,
    "dependency": _UNAVAILABLE,
    "cancelled": Cancelled.exit_code,
}
#: Exit code of a command -> that of a BIDS App.
_FROM_CODES = {0: 0, 3: _DATA, 4: _DATA, 6: _CREATE, 7: _AGAIN, 9: _UNAVAILABLE, SOME_FAILED: _DATA}
#: The same by code, where it says more.
_BY_CODE = {"in_use": _WRITE, "no_space": _WRITE, "locked": _AGAIN, "review_file": _DATA}


def main(arguments: list[str] | None = None) -> int:
    """Run the BIDS App; returns the exit code."""
    with steady_output():
        parser = build_parser()
        words = sys.argv[1:] if arguments is None else list(arguments)
        args = settle(parser, parser.parse_args(joined(words)))
        stop_on_termination()
        try:
            return _group(args) if args.level == "group" else _participant(args)
        except HippoSegError as error:
            print(f"hipposeg-bids: {in_words(error)}", file=sys.stderr)
            return exit_code(error)
        except KeyboardInterrupt:
            print("\nhipposeg-bids: Cancelled.", file=sys.stderr)
            return Cancelled.exit_code


def exit_code(error: HippoSegError) -> int:
    """The exit code of a BIDS App for an error."""
    from ..bids import errors

    if isinstance(error, errors.DatasetError | errors.NoInputError | errors.NothingSelectedError):
        return error.exit_code
    return _BY_CODE.get(error.code, _CODES.get(error.kind, _SOFTWARE))


def _participant(args: argparse.Namespace) -> int:
    """Segment the scans that are meant."""
    from ..batch.sharing import in_shard
    from ..bids.dataset import find_t1w, refuse_output_within
    from ..bids.description import describe

    sources = find_t1w(args.bids_dir, _filters(args), not args.skip_bids_validation)
    refuse_output_within(args.bids_dir, args.output_dir)
    describe(args.output_dir, args.bids_dir)
    if args.shard is not None:
        # Names in a data set are unique: no other scan has to be looked at, as in a batch of any files.
        sources = [source for source in sources if in_shard(source, *args.shard)]
    return _segment(sources, args)


def _segment(sources: list[Source], args: argparse.Namespace) -> int:
    from ..batch.finding.found import Found
    from ..batch.request import BatchOptions
    from ..bids.layout import BIDS
    from ..models.devices import usable_cpus

    workers, threads = resources(args, usable_cpus())
    batch = BatchOptions(not args.no_picture, args.overwrite, layout=BIDS, workers=workers)
    batch = replace(batch, dask=args.dask, comparison=_comparison(args))
    options = replace(segment_options(args), threads=threads)
    code = run_batch(Found(tuple(sources)), args.output_dir, options, batch)
    return _FROM_CODES.get(code, _SOFTWARE)


def _comparison(args: argparse.Namespace) -> Comparison | None:
    """What results are compared with: age and sex are of the data set's table, unless one is given."""
    own = args.bids_dir / "participants.tsv"
    if args.reference is not None and args.participants is None and own.is_file():
        args.participants = own
    return comparison_of(args, 2)


def _group(args: argparse.Namespace) -> int:
    """Write the table of all results."""
    from ..bids.group import TABLE, build_group

    group = build_group(args.output_dir, _filters(args))
    print(f"{len(group.included)} scans in {TABLE}.")
    counts = Counter(group.excluded.values())
    if counts:
        print(f"Left out: {', '.join(f'{count} {_EXCLUDED[why]}' for why, count in sorted(counts.items()))}.")
    if group.to_review:
        print(f"{len(group.to_review)} of them should be looked at: {_some(group.to_review)}.")
    if group.earlier:
        print(
            f"{len(group.earlier)} verdicts are on earlier results and do not count: {_some(group.earlier)}."
        )
    try:
        from ..bids.layout import BIDS
        from ..review.page import write_page

        print(f"To look at them: {write_page(args.output_dir, BIDS)}")
    except DependencyError as error:
        print(f"No page to look at them: {in_words(error)}")
    return 0


#: Why scans are left out of the group table, in words.
_EXCLUDED = {
    "failed": "without a result",
    "review": "judged poor in review.csv",
    "record": "with a damaged record",
}


def _some(scans: Sequence[str]) -> str:
    return ", ".join(scans[:5]) + (", ..." if len(scans) > 5 else "")


def _filters(args: argparse.Namespace) -> Filters:
    from ..bids.filters import Filters, labels, read_filter_file

    entities = {} if args.bids_filter_file is None else read_filter_file(args.bids_filter_file)
    return Filters(labels(args.subjects, "sub-"), labels(args.sessions, "ses-"), entities)


if __name__ == "__main__":
    raise SystemExit(main())

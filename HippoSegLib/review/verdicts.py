"""What people said of the results; the file itself belongs to the output folder, see `batch.verdicts`."""

from ..batch.verdicts import Verdict, assign, read_verdicts, result_id

__all__ = ["Verdict", "assign", "read_verdicts", "result_id"]

"""Where and how a fine-tuning runs: nothing of it changes what is learned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ..models import devices
from .site_case import CheckedSite

#: Called with words (remaining time included) and the fraction done, 0 to 1.
Progress = Callable[[str, float], None]


def _never() -> bool:
    return False


@dataclass(frozen=True)
class RunOptions:
    """Device, folder and callbacks of a run.

    Attributes:
        run_dir: Where the state is kept: a new or an empty folder, or that of a run that was cancelled or
            killed, which the same call continues. `fine_tune` takes a folder beside the new model where
            there is None, and removes the run's files in it at the end; a search keeps nothing.
        resume: Off, a folder that holds a run is refused.
        device, threads: As in `pipeline.segment`.
        micro_batch: Samples in memory at a time.
        progress: Told how far it is.
        cancel: Polled; True ends the run, which can be continued.
        checked: Called with the site after the check.
        epoch_done: Called with the training's name and its history after each epoch.
    """

    run_dir: Path | None = None
    resume: bool = True
    device: str = "auto"
    threads: int | None = None
    micro_batch: int = 2
    progress: Progress | None = None
    cancel: Callable[[], bool] = _never
    checked: Callable[[CheckedSite], None] | None = None
    epoch_done: Callable[[str, list[dict]], None] | None = None

    def resolved(self) -> RunOptions:
        """The same with the device's own name; sets PyTorch's number of threads.

        Raises:
            DependencyError: No PyTorch. DeviceError: There is no such device.
        """
        torch = devices.import_torch()
        torch.set_num_threads(self.threads or devices.default_threads())
        return replace(self, device=devices.resolve(self.device)[0])

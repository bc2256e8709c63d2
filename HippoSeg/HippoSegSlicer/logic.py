"""Runs jobs in the worker process and tells how they go; usable without any widget."""

from __future__ import annotations

import contextlib
import logging
import os
import traceback
from collections import deque

import slicer
import vtk

from HippoSegLib import errors
from HippoSegLib.errors import Cancelled, HippoSegError, InputError
from HippoSegLib.worker.exchange import exchange_path

from .jobs import INPUT_FILE, Job, SegmentJob
from .protocols import Timer, Worker
from .remedies import remedyFor
from .signal import Signal
from .workerprocess import WorkerProcess

#: How often the worker is listened to, milliseconds.
POLL_MILLISECONDS = 50

#: A fine-tuning is seldom followed by another one: its process soon gives the memory back.
TRAINING_IDLE_SECONDS = 60.0


def libraryFolder() -> str:
    """The folder that holds HippoSegLib, wherever it was installed."""
    return os.path.dirname(os.path.dirname(os.path.abspath(errors.__file__)))


class Logic(slicer.util.VTKObservationMixin):
    """Takes jobs, one at a time, and reports with three signals.

    Signals:
        progress(job, stage in words, fraction 0..1)
        finished(job)
        error(job, error); a cancelled job ends with :class:`HippoSegLib.errors.Cancelled`.

    Args:
        worker: Where jobs run; by default a worker process of its own.
        timer: Makes the timer from the function it is to call; by default a `qt.QTimer`.
    """

    def __init__(self, worker: Worker | None = None, timer=None):
        super().__init__()
        self.progress, self.finished, self.error = Signal(), Signal(), Signal()
        self._worker = worker or WorkerProcess(libraryFolder=libraryFolder())
        self._timer: Timer = (timer or _qtTimer)(self.poll)
        self._waiting: deque[Job] = deque()
        self._current: Job | None = None
        self._reason: HippoSegError | None = None  # why the current job is being ended
        self.lastLog = ""

    @property
    def isBusy(self) -> bool:
        """Whether a job is under way or waiting that somebody waits for."""
        return self._awaited is not None

    @property
    def runningWords(self) -> str:
        """What is under way, in words; "" for nothing."""
        return self._awaited.runningWords if self._awaited is not None else ""

    @property
    def worker(self) -> Worker:
        """The worker; for reports and tests."""
        return self._worker

    def submit(self, job: Job) -> Job:
        """Start a job, or let it wait for one in the background.

        Raises:
            HippoSegError: Another job is under way, or the worker cannot be started.
        """
        running = self._awaited
        if running is not None and not job.inBackground:
            raise HippoSegError(running.runningWords, "Wait for it to finish, or cancel it.")
        self._waiting.append(job)
        if not job.inBackground:
            self._observeScene()
        self._advance()
        return job

    def run(self, job: Job):
        """Do a job and wait for it; Slicer's window stays alive meanwhile.

        Returns:
            The job's value.

        Raises:
            HippoSegError: Why there is none.
        """
        self.submit(job)
        while not job.isDone:
            self.poll(wait=0.05)
            slicer.app.processEvents()
        if job.error is not None:
            raise job.error
        return job.value

    def cancel(self, reason: HippoSegError | None = None) -> None:
        """End the job that somebody waits for; the scene stays as it is.

        Args:
            reason: What the job's error will be; by default `Cancelled`.
        """
        reason = reason or Cancelled()
        for job in [job for job in self._waiting if not job.inBackground]:
            self._waiting.remove(job)
            self._fail(job, reason)
        isRunning = self._current is not None and not self._current.inBackground
        if isRunning and self._reason is None:
            self._reason = reason
            self._worker.cancel()

    def close(self) -> None:
        """End everything, the worker process included."""
        self._waiting.clear()
        self._current = None
        self._timer.stop()
        self.removeObservers()
        self._worker.close()

    def poll(self, wait: float = 0.002) -> None:
        """Listen to the worker; called by the timer."""
        for event in self._worker.poll(wait):
            job = self._current
            if job is None:
                continue
            if event["event"] == "progress":
                self.progress.emit(job, event["stage"], event["fraction"])
            elif event["event"] == "result":
                self._accept(job, event["result"])
            else:
                self._refuse(job, event)

    @property
    def _awaited(self) -> Job | None:
        """The job under way or waiting that somebody waits for; there is at most one."""
        return next((job for job in (self._current, *self._waiting) if job and not job.inBackground), None)

    def _advance(self) -> None:
        """Send the next job to the worker, if it is free."""
        while self._current is None and self._waiting:
            job = self._waiting.popleft()
            try:
                self._worker.send(job.task, job.arrays(), **job.request())
            except HippoSegError as error:
                self._fail(job, error)
            else:
                self._current, self._reason = job, None
                self._timer.start()

    def _accept(self, job: Job, result: dict) -> None:
        reason = self._reason
        self._release()
        if reason is not None:  # it was finished before the worker heard that it should stop
            self._fail(job, reason)
            return
        try:
            job.accept(result, self._worker.folder)
        except HippoSegError as error:
            self._fail(job, error)
            return
        except Exception:  # the window must not stay busy, whatever happened
            self.lastLog = traceback.format_exc()
            logging.error("HippoSeg: %s", self.lastLog)
            self._fail(
                job,
                HippoSegError(
                    "The result could not be shown in the scene.",
                    "Copy the report and send it to the developers.",
                ),
            )
            return
        if isinstance(job, SegmentJob):
            logging.info("HippoSeg: finished, %s", job.received.provenance.get("seconds", {}))
        self._done()
        self.finished.emit(job)

    def _refuse(self, job: Job, event: dict) -> None:
        kind = getattr(errors, event["kind"], None)
        if not (isinstance(kind, type) and issubclass(kind, HippoSegError)):
            kind = HippoSegError
        code = event.get("code", "")
        error = kind(event["cause"], remedyFor(code, event["remedy"]), code)
        if event["kind"] == "Cancelled" and self._reason is not None:
            error = self._reason
        self.lastLog = event.get("details") or ""
        if self.lastLog:
            logging.warning("HippoSeg worker: %s", self.lastLog)
        self._release()
        self._fail(job, error)

    def _release(self) -> None:
        self._current = self._reason = None
        if self._worker.folder:
            with contextlib.suppress(OSError):  # the scan does not stay on the disk
                os.remove(exchange_path(self._worker.folder, INPUT_FILE))

    def _fail(self, job: Job, error: HippoSegError) -> None:
        job.error = error
        logging.info("HippoSeg: %s", error)
        self._done()
        self.error.emit(job, error)

    def _done(self) -> None:
        self._advance()
        if not self.isBusy:
            self.removeObservers()
        if self._current is None:
            self._timer.stop()

    def _observeScene(self) -> None:
        scene = slicer.mrmlScene
        for event, method in (
            (slicer.vtkMRMLScene.NodeAboutToBeRemovedEvent, self._onNodeRemoved),
            (slicer.vtkMRMLScene.StartCloseEvent, self._onSceneClose),
        ):
            if not self.hasObserver(scene, event, method):
                self.addObserver(scene, event, method)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeRemoved(self, caller, event, node) -> None:
        if self._awaited is not None and self._awaited.volumeNode is node:
            self.cancel(
                InputError(
                    "The volume was removed while it was being worked on.", "Load it again, then click again."
                )
            )

    def _onSceneClose(self, caller, event) -> None:
        if self._current is not None and not self._current.needsScene:
            return
        self.cancel(
            InputError("The scene was closed while a volume was being worked on.", "Load the volume again.")
        )


def trainingLogic() -> Logic:
    """A logic for what takes long, beside the other one: its worker process lets the rest go first."""
    worker = WorkerProcess(libraryFolder=libraryFolder(), idleSeconds=TRAINING_IDLE_SECONDS, lowPriority=True)
    return Logic(worker)


def _qtTimer(callback) -> Timer:
    import qt

    timer = qt.QTimer()
    timer.setInterval(POLL_MILLISECONDS)
    timer.connect("timeout()", callback)
    return timer

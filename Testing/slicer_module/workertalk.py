"""What a panel says to its worker, and how it waits for an answer."""

from __future__ import annotations

import time

import numpy as np
import psutil

IMAGE = {
    "array": "in.npy",
    "spacing": [1.0, 1.5, 2.0],
    "origin": [5.0, 6.0, 7.0],
    "direction": [1, 0, 0, 0, 1, 0, 0, 0, 1],
}


def volume() -> np.ndarray:
    array = np.zeros((8, 10, 12), np.int16)
    array[3:5, 4:7, 2:10] = 100
    return array


def send(worker, model=None) -> int:
    return worker.send("segment", {"in.npy": volume()}, image=IMAGE, run="r", options={"model": model})


def wait(worker, seconds=240.0):
    """Poll until the task ends; returns all events."""
    events, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        events += worker.poll(wait=0.02)
        if events and events[-1]["event"] in ("result", "error"):
            return events
    raise AssertionError(f"no end within {seconds} s: {events}")


def wait_for_progress(worker, seconds=240.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if any(event["event"] == "progress" for event in worker.poll(wait=0.02)):
            return
    raise AssertionError("no progress")


def gone(process: psutil.Process, seconds: float = 30.0) -> bool:
    """Whether a process ends in time; one that waits to be buried has ended."""
    psutil.wait_procs([process], timeout=seconds)
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True

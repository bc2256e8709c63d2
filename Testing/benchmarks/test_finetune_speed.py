"""The stopwatch of fine-tuning: stages, memory of a process tree, the choice of crops."""

from __future__ import annotations

import subprocess
import sys
import time

import finetune_speed as bench
import pytest

#: What the command prints, with the seconds at which it might.
OUTPUT = [
    (3.0, "[  0.0 %] Reading case 1 of 2"),
    (3.5, "[ 50.0 %] Reading case 2 of 2"),
    (5.0, "case               subject  side"),
    (5.0, "hippocampus_001    subject_001  left"),
    (15.0, "[ 10.0 %] Cross-validation 1 of 2, epoch 1 of 2: loss 0.9, Dice 0.7, about 1 minute left"),
    (25.0, "[ 20.0 %] Cross-validation 1 of 2, epoch 2 of 2: loss 0.9, Dice 0.7"),
    (40.0, "[ 50.0 %] Cross-validation 2 of 2, epoch 1 of 2: loss 0.9, Dice 0.7"),
    (70.0, "[100.0 %] Final model, epoch 1 of 1: loss 0.8"),
    (72.0, "before 0.7 after 0.8"),
]


def test_the_stages_are_the_whole():
    parts = bench.stages(OUTPUT, 75.0)
    assert parts == {
        "start of Python, imports, base model": 3.0,
        "reading the cases": 0.5,
        "checking the cases": 1.5,
        "cross-validation 1 of 2": 20.0,
        "cross-validation 2 of 2": 15.0,
        "final model": 30.0,
        "judging, writing the model and the pictures": 5.0,
    }
    assert sum(parts.values()) == 75.0


def test_crops_are_of_held_out_subjects_first():
    names = [f"hippocampus_{i:03d}" for i in range(1, 11)]
    chosen = bench.choose(names, ["hippocampus_010", "hippocampus_005", "hippocampus_006"], 5)
    assert chosen == [f"hippocampus_{i:03d}" for i in (5, 6, 10, 1, 2)]
    assert bench.choose(names, [], 2) == names[:2]


def test_memory_of_the_children_counts():
    """A process whose child holds 200 MB."""
    child = "import time; x = bytearray(b'1' * 200_000_000); print('held', flush=True); time.sleep(30)"
    parent = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    process = subprocess.Popen([sys.executable, "-c", parent, child], stdout=subprocess.PIPE, text=True)
    memory = bench.TreeMemory(process.pid, interval=0.02)
    memory.start()
    try:
        assert process.stdout.readline() == "held\n"
        limit = time.monotonic() + 10
        while memory.peak < 200e6 and time.monotonic() < limit:
            time.sleep(0.02)
    finally:
        for one in memory._root.children():
            one.kill()
        process.communicate()
        memory.ended.set()
        memory.join()
    assert 200e6 < memory.peak < 600e6


def test_a_command_that_fails_is_told(capfd):
    lines, seconds, peak = bench.run([sys.executable, "-c", "import time; print('x'); time.sleep(0.5)"], None)
    assert [line for _, line in lines] == ["x"] and 0.5 <= seconds < 20 and peak > 1e6
    with pytest.raises(SystemExit, match="failed \\(3\\)"):
        bench.run([sys.executable, "-c", "raise SystemExit(3)"], None)


def test_a_trial_run_meets_no_goal():
    args = bench.argparse.Namespace(epochs=1, model=None, threads=1)
    lines = bench.report(args, 6, 6, (0.1, 0.2), 20.0, {"a": 20.0}, 10**9)
    assert "trial run" in lines[0] and not any("met" in line for line in lines)
    args.epochs = None
    lines = bench.report(args, 20, 20, (0.1, 0.2), 700.0, {"a": 700.0}, 10**9)
    assert any("< 600 s: missed" in line for line in lines) and any("< 3 GB: met" in line for line in lines)

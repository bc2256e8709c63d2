"""`hipposeg batch` as a user meets it: what is found, a line of progress, a log, a summary, the exit code."""

from __future__ import annotations

import io
import re

import pytest
from standin import table, visible, write_scan

from HippoSegLib import cli
from HippoSegLib.batch.progress import BatchProgress, Listener, duration
from HippoSegLib.commands.batch_output import BatchLine
from HippoSegLib.errors import NotFoundError


@pytest.fixture
def study(tmp_path):
    for number in range(3):
        write_scan(tmp_path / "in" / f"s{number}" / "T1.nii.gz", number)
    (tmp_path / "in" / "sub-1_bold.nii.gz").touch()
    return tmp_path / "in"


def batch(capsys, *words) -> tuple[int, str, str]:
    code = cli.main(["batch", *map(str, words), "--no-picture", "--workers", "1"])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_study_a_log_and_a_summary_then_nothing_to_do(tmp_path, study, pipeline, capsys):
    pipeline.fails[1] = NotFoundError("No head was found.", "Give points.", "no_head")
    code, out, err = batch(capsys, study, "-o", tmp_path / "out", "--no-page")
    assert code == 10 and "Traceback" not in out + err
    assert out.startswith("3 scans found.\n1 left out: 1 another image than T1w, by its name.\n")
    lines = re.findall(r"^(\d) of 3.*: (s\d_T1): ok: left \d+ mm", out, flags=re.M)
    assert lines == [("1", "s0_T1"), ("3", "s2_T1")]
    assert "hipposeg: s1_T1: No head was found." in err and "--left-point" in err
    assert "3 scans: 2 ok, 1 failed.\nWithout the result that was asked for: 1 x no_head.\nTable: " in out
    code, out, err = batch(capsys, study, "-o", tmp_path / "out", "--no-page")
    assert code == 0 and "3 scans: 1 ok, 2 done before." in out and "s0_T1" not in out and not err
    assert batch(capsys, study, "-o", tmp_path / "out", "-q", "--no-page")[1].count("\n") == 2


def test_failed_ones_that_are_not_tried_again_are_in_the_exit_code(tmp_path, study, pipeline, capsys):
    pipeline.fails[0] = NotFoundError("No head was found.")
    batch(capsys, study, "-o", tmp_path / "out", "--no-page")
    code, out, _ = batch(capsys, study, "-o", tmp_path / "out", "--no-page", "--no-retry-failed")
    assert code == 10 and "3 scans: 3 done before." in out and "1 x not_found" in out


def test_of_a_file_that_is_not_there_one_sentence_is_said(tmp_path, pipeline, capsys):
    code, _, err = batch(capsys, tmp_path / "no.nii.gz", "-o", tmp_path / "out")
    assert code == 3 and err.count("\n") == 1 and "does not exist" in err and not (tmp_path / "out").exists()


def test_a_full_disk_ends_the_batch_which_goes_on_when_there_is_space(tmp_path, study, pipeline, capsys):
    pipeline.fails[1] = OSError(28, "No space left on device")
    code, _, err = batch(capsys, study, "-o", tmp_path / "out", "--no-page")
    assert code == 6 and "the scans that remain were not begun" in err and "Traceback" not in err
    rows = {row["scan"]: row["status"] for row in table(tmp_path / "out")}
    assert rows["s0_T1"] == "ok" and rows.get("s1_T1", "failed") == "failed" and "s2_T1" not in rows
    pipeline.fails.clear()
    code, out, _ = batch(capsys, study, "-o", tmp_path / "out", "--no-page")
    assert code == 0 and "3 scans: 2 ok, 1 done before." in out


def test_listing_writes_nothing(tmp_path, study, pipeline, capsys):
    code, out, _ = batch(capsys, study, "-o", tmp_path / "out", "--list")
    assert code == 0 and not (tmp_path / "out").exists() and not pipeline.calls
    assert [line for line in out.splitlines() if line.endswith("T1.nii.gz")] == [
        (study / f"s{number}" / "T1.nii.gz").as_posix() for number in range(3)
    ]
    assert "sub-1_bold.nii.gz: another image than T1w" in out


def test_a_shard_and_a_pattern(tmp_path, study, pipeline, capsys):
    for part in (1, 2):
        words = (study, "-o", tmp_path / "out", "--no-page", "--shard", f"{part}/2", "--match", "s[01]/*")
        assert batch(capsys, *words)[0] == 0
    assert [row["scan"] for row in table(tmp_path / "out")] == ["s0_T1", "s1_T1"]
    with pytest.raises(SystemExit) as caught:
        batch(capsys, study, "-o", tmp_path / "out", "--shard", "3/2")
    assert caught.value.code == 2


def test_many_refusals_of_a_kind_are_counted_not_repeated(tmp_path, pipeline, capsys):
    for number in range(25):
        write_scan(tmp_path / "in" / f"{number:02d}.nii.gz", number)
    assert batch(capsys, tmp_path / "in", "-o", tmp_path / "out", "--no-page")[0] == 0
    code, out, err = batch(capsys, tmp_path / "in", "-o", tmp_path / "out", "--no-page", "--parts")
    assert code == 10 and err.count("--overwrite") == 20 and "25 refused" in out
    assert "25 x other_settings" in out


def test_a_review_page_is_written(tmp_path, study, pipeline, capsys):
    pytest.importorskip("jinja2")
    code, out, _ = batch(capsys, study, "-o", tmp_path / "out")
    assert code == 0 and "Review page: " in out and "index.html" in visible(tmp_path / "out")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_has_one_line_that_is_rewritten(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    stream = Terminal()
    line = BatchLine(stream, several=True)
    for done in range(3):
        now[0] += 1.0
        line.show(BatchProgress(500, done, ok=done, per_minute=12.0, seconds_left=2460.0))
        line.show(BatchProgress(500, done, ok=done, per_minute=99.0))  # too soon after the last
    line.clear()
    text = stream.getvalue()
    assert "\n" not in text and text.count("\r") == 5 and "99 per" not in text
    assert text.split("\r")[3].startswith("2 of 500, 12 per minute, 41 min left")


def test_the_speed_is_that_of_the_last_scans(pipeline):
    """A hundred scans a second apart, then sixty of ten seconds each: the time left goes by the latter."""

    class Done:
        what, scan = "ok", "a"

    now = [0.0]
    listener = Listener(clock=lambda: now[0])
    listener.begin(200)
    for number in range(160):
        now[0] += 1.0 if number < 100 else 10.0
        progress = listener.settled(Done())
    assert progress.per_minute == pytest.approx(6.0, rel=0.05)
    assert progress.seconds_left == pytest.approx(400.0, rel=0.05)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 s"),
        (89, "89 s"),
        (2460, "41 min"),
        (12000, "3 h 20 min"),
        (10800, "3 h"),
        (187200, "2 d 4 h"),
    ],
)
def test_durations(seconds, words):
    assert duration(seconds) == words

"""What the worker is asked: whatever the lines hold, it listens on and answers what can be answered."""

from __future__ import annotations

import io
import json
import os
import queue
import threading
import time

import pytest

from HippoSegLib.errors import HippoSegError
from HippoSegLib.worker import requests
from HippoSegLib.worker.process import Worker, describe
from HippoSegLib.worker.requests import Requests, lines, parse

#: Kind -> a line that is no request.
JUNK = {
    "nothing": b"",
    "no JSON": b"segment please",
    "half of an object": b'{"id": 5, "task": "echo"',
    "a list": b'[{"id": 5, "task": "echo"}]',
    "a number": b"5",
    "a text": b'"cancel"',
    "null": b"null",
    "true": b"true",
    "not UTF-8": b'{"id": 5, "task": "\xff\xfe"}',
    "UTF-16": '{"id": 5}'.encode("utf-16")[:-1],
    "a NUL": b"\x00",
    "nested lists": b"[" * 200_000,
    "nested objects": b'{"a":' * 200_000 + b"1" + b"}" * 200_000,
    "a number of many digits": b'{"id": ' + b"9" * 10_000 + b', "task": "echo"}',
    "no id": b'{"task": "echo"}',
    "an id of a list": b'{"id": [1], "task": "echo"}',
    "an id of an object": b'{"id": {"a": 1}, "task": "echo"}',
    "an id of null": b'{"id": null, "task": "echo"}',
    "an id of true": b'{"id": true, "task": "echo"}',
    "an id with a part": b'{"id": 1.5, "task": "echo"}',
    "an id that is no number": b'{"id": NaN, "task": "echo"}',
    "a very long id": b'{"id": "' + b"x" * 5000 + b'", "task": "echo"}',
    "a cancel of a list": b'{"cancel": [1]}',
    "a cancel of an object": b'{"cancel": {}}',
    "a cancel of null": b'{"cancel": null}',
    "a cancel of what was never asked": b'{"cancel": 77}',
}

#: Kind -> a request that can be answered, though not be done.
WRONG = {
    "no task": {"id": 6},
    "a task that is not there": {"id": 6, "task": "nonsense"},
    "a task of a list": {"id": 6, "task": ["echo"]},
    "a task of an object": {"id": 6, "task": {"echo": 1}},
    "a task that gives what is no JSON": {"id": 6, "task": "odd"},
    "a task that gives a circle": {"id": 6, "task": "circle"},
    "a task that says it wants out": {"id": 6, "task": "exit"},
    "a task whose error has no words": {"id": 6, "task": "mute"},
    "a task whose progress is none": {"id": 6, "task": "no progress"},
}


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")


def _circle(*_):
    circle: dict = {}
    circle["circle"] = circle
    return circle


def _raise(error):
    raise error


TASKS = {
    "echo": lambda request, folder, progress, cancel: {"said": request.get("say")},
    "odd": lambda *_: {"value": object()},
    "circle": _circle,
    "exit": lambda *_: _raise(SystemExit(3)),
    "mute": lambda *_: _raise(Mute()),
    "no progress": lambda request, folder, progress, cancel: progress({1}, "much"),
}


class Panel:
    """A worker in threads of this process, and the two ends of its pipes."""

    def __init__(self, tasks=TASKS):
        ask, self._ask = os.pipe()
        self._listen, answer = os.pipe()
        self._asking, self.hearing = os.fdopen(self._ask, "wb", 0), os.fdopen(self._listen, "rb")
        self.worker = Worker(os.fdopen(ask, "rb"), os.fdopen(answer, "wb"), tasks)
        self.worker.leave = lambda: None  # it would end the tests
        self.thread = threading.Thread(target=self.worker.run, daemon=True)
        self.thread.start()
        assert self.hear()["event"] == "ready"

    def say(self, *messages) -> None:
        for message in messages:
            data = message if isinstance(message, bytes) else json.dumps(message).encode()
            self._asking.write(data + b"\n")

    def hear(self) -> dict:
        return json.loads(self.hearing.readline())

    def hear_until(self, number) -> list[dict]:
        """Answers up to that of a request."""
        heard = [self.hear()]
        while heard[-1]["id"] != number or heard[-1]["event"] == "progress":
            heard.append(self.hear())
        return heard

    def close(self) -> bool:
        """Close its input; whether it ends."""
        self._asking.close()
        self.thread.join(20)
        self.hearing.close()
        return not self.thread.is_alive()


@pytest.fixture
def panel():
    one = Panel()
    yield one
    assert one.close()


@pytest.mark.parametrize("kind", JUNK)
def test_a_line_that_is_no_request_does_not_make_it_deaf(panel, kind, capfd):
    panel.say(JUNK[kind], {"id": 7, "task": "echo", "say": kind})
    assert panel.hear_until(7) == [{"id": 7, "event": "result", "result": {"said": kind}}]


@pytest.mark.parametrize("kind", WRONG)
def test_a_request_that_cannot_be_done_is_answered_and_the_next_is_done(panel, kind):
    panel.say(WRONG[kind], {"id": 7, "task": "echo"})
    (first, second) = panel.hear_until(7)
    assert (first["id"], first["event"]) == (6, "error") and first["cause"] and first["remedy"]
    assert second["event"] == "result"


def test_all_of_it_at_once_and_several_times(panel, caplog):
    for number in range(3):
        panel.say(*JUNK.values(), *({**one, "id": f"{n}"} for n, one in enumerate(WRONG.values())))
        panel.say({"id": number, "task": "echo"})
        heard = panel.hear_until(number)
        assert [one["event"] for one in heard] == ["error"] * len(WRONG) + ["result"]
    assert {record.name for record in caplog.records} == {"HippoSegLib.worker"}
    noted = [message for message in caplog.messages if message.startswith("Passed over")]
    assert 0 < len(noted) <= 20  # nobody may read them


def test_a_text_may_name_a_request(panel):
    panel.say({"id": "häuser \ud800", "task": "echo"})
    assert panel.hear()["id"] == "häuser \ud800"


def waiting():
    """A task that waits until it is told to go on, or is cancelled; what it heard."""
    begun, go_on = threading.Event(), threading.Event()

    def wait(request, folder, progress, cancel):
        begun.set()
        while not go_on.wait(0.01):
            if cancel():
                return {"cancelled": True}
        return {"cancelled": False}

    return wait, begun, go_on


def test_a_cancel_before_its_request_counts_for_none():
    panel = Panel()
    panel.say({"cancel": 7}, {"id": 7, "task": "echo"})
    assert panel.hear()["event"] == "result"
    assert panel.close()


def test_a_cancel_that_comes_late_does_not_meet_the_next_request_of_its_id():
    panel = Panel()
    panel.say({"id": 7, "task": "echo"})
    assert panel.hear()["event"] == "result"
    panel.say({"cancel": 7}, {"id": 7, "task": "echo"})
    assert panel.hear()["event"] == "result"
    assert panel.close()


def test_a_cancel_meets_what_runs_and_what_waits_and_nothing_else():
    task, begun, go_on = waiting()
    panel = Panel({**TASKS, "wait": task})
    panel.say({"id": 1, "task": "wait"}, {"id": 2, "task": "echo"}, {"id": 3, "task": "echo"})
    assert begun.wait(20)
    panel.say({"cancel": 2}, {"cancel": [1]}, {"cancel": 1})
    first, second, third = panel.hear(), panel.hear(), panel.hear()
    assert first == {"id": 1, "event": "result", "result": {"cancelled": True}}
    assert (second["id"], second["kind"], second["code"]) == (2, "Cancelled", "cancelled")
    assert (third["id"], third["event"]) == (3, "result")
    assert panel.close()


def test_an_id_that_is_waited_for_is_not_taken_twice():
    task, begun, go_on = waiting()
    panel = Panel({**TASKS, "wait": task})
    panel.say({"id": 1, "task": "wait"}, {"id": 2, "task": "echo", "say": "first"})
    assert begun.wait(20)
    panel.say(
        {"id": 1, "task": "echo"}, {"id": 2, "task": "echo", "say": "second"}, {"id": 3, "task": "echo"}
    )
    while panel.worker._requests._queue.qsize() < 2:
        time.sleep(0.01)
    go_on.set()
    heard = panel.hear_until(3)
    assert [(one["id"], one["event"]) for one in heard] == [(1, "result"), (2, "result"), (3, "result")]
    assert heard[1]["result"] == {"said": "first"}
    panel.say({"id": 1, "task": "echo", "say": "again"})  # it has ended: the id is free
    assert panel.hear()["result"] == {"said": "again"}
    assert panel.close()


def test_a_line_that_is_too_long_is_passed_over(monkeypatch, capfd):
    monkeypatch.setattr(requests, "LONGEST_LINE", 10_000)
    panel = Panel()
    long = json.dumps({"id": 5, "task": "echo", "say": "x" * 3_000_000}).encode()
    panel.say(long, {"id": 7, "task": "echo"})
    assert panel.hear()["id"] == 7 and panel.close()


def test_lines_are_whole_or_left_out():
    """Against the plain splitting of the same bytes."""
    sizes = (0, 1, 8, 9, 10, 11, 12, 25, 5)
    data = b"".join(b"x" * size + b"\n" for size in sizes) + b"end"
    before, requests.LONGEST_LINE = requests.LONGEST_LINE, 10
    try:
        found = list(lines(io.BytesIO(data)))
    finally:
        requests.LONGEST_LINE = before
    assert found == [line for line in data.splitlines(keepends=True) if len(line) <= 10]


def test_an_end_in_the_middle_of_a_line_ends_it(panel):
    panel._asking.write(b'{"id": 1, "task": ')


def test_reading_that_fails_closes():
    class Broken(io.RawIOBase):
        def readline(self, size=-1):
            raise OSError("gone")

    closed = []
    reading = Requests(Broken(), lambda: closed.append(True))
    reading.start()
    assert reading.next(20) is None and reading.closed.wait(20)
    while not closed:
        time.sleep(0.01)


@pytest.mark.parametrize("seconds", [-1.0, 0.0])
def test_an_idle_time_that_is_none_ends_at_once(seconds):
    with pytest.raises(queue.Empty):
        Requests(io.BytesIO()).next(seconds)


def test_an_idle_time_without_end():
    reading = Requests(io.BytesIO(b'{"id": 1}\n'))
    reading.start()
    assert reading.next(float("inf")) == {"id": 1}


def test_only_an_object_is_parsed():
    assert parse(b" {} \r\n") == {} and parse(b"[]") is None and parse(b"{}{}") is None


def test_memory_that_ran_out_has_its_code():
    assert describe(MemoryError())["code"] == "out_of_memory"
    assert describe(HippoSegError("a", "b", "c"))["code"] == "c"

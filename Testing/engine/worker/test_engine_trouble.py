"""Children that die, lie, or cannot begin; clients that die."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from engine_talk import PATIENCE_S, SCRIPT, only, pid_of, wait_for

from SegAnyPETLib.errors import WorkerError
from SegAnyPETLib.session import Point
from SegAnyPETLib.version import __version__
from SegAnyPETLib.worker import EngineDied, EngineReady, LesionPredicted, PredictionRefused, shared_image
from SegAnyPETLib.worker.frames import MAGIC, PROTOCOL, Frame, read_frame, write_frame

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals, /proc and /dev/shm")


def middle_of(image, offset=0):
    x, y, z = (float(v) for v in image.grid.kji_to_lps([20, 25, 22 + offset]))
    return x, y, z


def says(code):
    """A child that runs a line of Python with its standard output as `out` and then waits for the end of its input."""
    return [sys.executable, "-P", "-c", f"import sys; out = sys.stdout.buffer; {code}; out.flush(); sys.stdin.read()"]


def frame_in_python(kind, **fields):
    return f"from SegAnyPETLib.worker.frames import *; write_frame(out, Frame({kind!r}, {fields!r}))"


HELLO = frame_in_python("hello", protocol=PROTOCOL, version=__version__)


def test_a_child_killed_in_mid_prediction_is_replaced_and_everything_is_asked_again(an_engine, an_image, a_gate):
    an_engine.predict("a", [Point(middle_of(an_image))])
    first = only(wait_for(an_engine, LesionPredicted), LesionPredicted)[0]
    a_gate.close()
    numbers = {"a": an_engine.predict("a", [Point(middle_of(an_image)), Point(middle_of(an_image, 25))])}
    numbers["b"] = an_engine.predict("b", [Point(middle_of(an_image, -15))])
    a_gate.wait_until_child_is_inside(an_engine)
    killed = pid_of(an_engine)
    os.kill(killed, signal.SIGKILL)
    (died,) = only(wait_for(an_engine, EngineDied), EngineDied)
    assert died.restarting
    assert "killed" in died.reason
    a_gate.open()
    events = wait_for(an_engine, LesionPredicted, count=2)
    assert only(events, EngineReady)
    assert {event.lesion: event.request for event in only(events, LesionPredicted)} == numbers
    assert pid_of(an_engine) != killed
    again = next(event for event in only(events, LesionPredicted) if event.lesion == "a")
    assert again.packed.voxel_count > first.packed.voxel_count
    assert again.changed != again.packed.box  # relative to what was given before the death


def test_three_deaths_without_an_answer_are_the_end_and_are_explained(make_engine, an_image):
    engine = make_engine(command=[sys.executable, "-c", "import sys; sys.exit('Segfault of some driver')"])
    engine.set_image(an_image)
    number = engine.predict("a", [Point(middle_of(an_image))])
    died = only(wait_for(engine, EngineDied, count=3), EngineDied)
    assert [event.restarting for event in died] == [True, True, False]
    assert "exit code 1" in died[2].reason
    assert "Segfault of some driver" in died[2].reason
    assert engine.state == "failed"
    refused = engine.predict("b", [Point(middle_of(an_image))])
    engine.prepare(middle_of(an_image))
    events = engine.poll()
    assert [event.request for event in only(events, PredictionRefused)][-1] == refused
    assert all(type(event.error) is WorkerError for event in only(events, PredictionRefused))
    assert number < refused
    engine.start()
    assert engine.state == "starting"


def test_a_program_that_is_not_there_is_explained(make_engine):
    engine = make_engine(command=["/nowhere/PythonSlicer"])
    engine.start()
    died = only(wait_for(engine, EngineDied, count=3), EngineDied)
    assert "could not be started" in died[-1].reason
    assert "/nowhere/PythonSlicer" in died[-1].reason


def test_a_model_that_cannot_be_loaded_is_not_tried_again(make_engine):
    engine = make_engine("--unloadable", device="cpu")
    engine.start()
    (died,) = only(wait_for(engine, EngineDied), EngineDied)
    assert died == EngineDied("Expected the weights of balls for cpu, found nothing.", restarting=False)
    assert engine.state == "failed"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("out.write(b'Loading plugins... done')", "Something else writes to the pipe"),
        (HELLO + "; out.write(b'now I print')", "Something else writes to the pipe"),
        (HELLO + f"; out.write({struct.pack('<4sIQ', MAGIC, 4, 2**50)!r})", "at most"),
        (HELLO + "; " + frame_in_python("party"), "party"),
        (HELLO + "; " + frame_in_python("ready"), "a model and a device"),
        (HELLO + "; " + frame_in_python("predicted", request="x"), "the number of a request"),
        (frame_in_python("ready", model="lite", device="cpu", seconds=1), "protocol"),
    ],
)
def test_a_child_that_says_rubbish_is_ended_with_words(make_engine, code, words):
    engine = make_engine(command=says(code))
    engine.start()
    died = only(wait_for(engine, EngineDied, count=3), EngineDied)
    assert all(words in event.reason for event in died)
    assert engine.state == "failed"


def test_an_engine_of_another_protocol_is_not_tried_again(make_engine):
    engine = make_engine(command=says(frame_in_python("hello", protocol=PROTOCOL + 1, version="9.9")))
    engine.start()
    (died,) = only(wait_for(engine, EngineDied), EngineDied)
    assert not died.restarting
    assert f"protocol {PROTOCOL}; found {PROTOCOL + 1}, version '9.9'" in died.reason
    assert "restart" in died.reason


def test_an_answer_to_another_question_is_rubbish(make_engine, an_image):
    lies = frame_in_python("ready", model="m", device="cpu", seconds=1) + "; [" + "read_frame(sys.stdin.buffer),"
    lies += " read_frame(sys.stdin.buffer), read_frame(sys.stdin.buffer)]; "
    engine = make_engine(command=says(HELLO + "; " + lies + frame_in_python("prepared", request=1, seconds=1)))
    engine.set_image(an_image)
    engine.predict("a", [Point(middle_of(an_image))])
    died = only(wait_for(engine, EngineDied), EngineDied)
    assert "Expected an answer to predict" in died[0].reason


@pytest.fixture
def a_child(another_gate):
    """The child process alone, as whoever speaks to its pipes sees it."""
    process = subprocess.Popen(
        [sys.executable, "-P", str(SCRIPT), str(another_gate.folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])},
    )
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize(
    ("rubbish", "words"),
    [(b"GET / HTTP/1.1\r\n\r\n", b"Something else writes to the pipe"), (b"SAPE\x01", b"more bytes of a message")],
)
def test_a_child_that_is_told_rubbish_ends_with_words(a_child, rubbish, words):
    assert read_frame(a_child.stdout).fields == {"protocol": PROTOCOL, "version": __version__}
    hello = {"protocol": PROTOCOL, "version": __version__, "pid": os.getpid(), "model": "balls", "device": "cpu"}
    write_frame(a_child.stdin, Frame("hello", hello))
    _, errors = a_child.communicate(rubbish, timeout=PATIENCE_S)
    assert a_child.returncode == 2
    assert words in errors


def test_a_child_of_another_protocol_than_the_client_says_so(a_child):
    read_frame(a_child.stdout)
    write_frame(a_child.stdin, Frame("hello", {"protocol": PROTOCOL + 1}))
    answer = read_frame(a_child.stdout)
    assert answer.kind == "unavailable"
    assert f"found {PROTOCOL + 1}" in answer.fields["message"]
    assert a_child.wait(PATIENCE_S) == 1


def test_a_child_short_of_memory_refuses_the_request_and_answers_the_next(make_engine, an_image):
    engine = make_engine("--memory-hungry", environment={"OMP_NUM_THREADS": "1"})
    engine.set_image(an_image)
    engine.predict("a", [Point(middle_of(an_image)), Point(middle_of(an_image, 3))])
    (refused,) = only(wait_for(engine, PredictionRefused), PredictionRefused)
    assert type(refused.error) is WorkerError
    assert "enough memory" in str(refused.error)
    engine.predict("a", [Point(middle_of(an_image))])
    assert only(wait_for(engine, LesionPredicted), LesionPredicted)[0].packed.voxel_count > 0


def test_a_model_that_leaves_its_device_says_where_it_went(make_engine, an_image):
    engine = make_engine("--device", "cuda:0")
    engine.set_image(an_image)
    engine.predict("a", [Point(middle_of(an_image))])
    events = wait_for(engine, EngineReady, count=2)
    engine.predict("a", [Point(middle_of(an_image, 3))])
    events += wait_for(engine, LesionPredicted)
    assert [event.device for event in only(events, EngineReady)] == ["cuda:0", "cpu"]  # told once


def test_an_image_for_which_there_is_no_shared_memory_is_refused_with_the_reason(an_engine, an_image, monkeypatch):
    an_engine.predict("a", [])

    def full(_handle, _offset, _size):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shared_image.os, "posix_fallocate", full)
    an_engine.set_image(an_image)
    for _ in range(2):
        an_engine.predict("a", [Point(middle_of(an_image))])
        (refused,) = only(wait_for(an_engine, PredictionRefused), PredictionRefused)
        assert "No space left on device" in str(refused.error)
    monkeypatch.undo()
    an_engine.set_image(an_image)
    an_engine.predict("a", [Point(middle_of(an_image))])
    wait_for(an_engine, LesionPredicted)


CLIENT = """
import sys, time
sys.path.insert(0, {tests!r})
from engine_talk import oblique_image, wait_for
from SegAnyPETLib.session import Point
from SegAnyPETLib.worker import EngineClient, PredictionRefused
engine = EngineClient(command={command!r})
engine.set_image(oblique_image())
engine.predict("a", [Point((1e4, 0.0, 0.0))])
assert "outside the image" in str(wait_for(engine, PredictionRefused)[-1].error)  # it has seen the image
sys.stdout.write(engine._image.fill() + " " + str(engine._child.pid) + chr(10))
sys.stdout.flush()
{end}
"""


@pytest.mark.parametrize("end", ["time.sleep(1000)", "engine.poll()"], ids=["killed", "forgot to close"])
def test_an_application_that_ends_without_closing_leaves_neither_child_nor_memory(another_gate, end):
    command = [sys.executable, "-P", str(SCRIPT), str(another_gate.folder)]
    code = CLIENT.format(tests=str(SCRIPT.parent), command=command, end=end)
    application = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])},
    )
    name, pid = application.stdout.readline().split()
    if "sleep" in end:
        application.kill()
    _, errors = application.communicate(timeout=PATIENCE_S)
    assert errors == ""
    until = time.monotonic() + PATIENCE_S
    while Path(f"/proc/{pid}").exists() or (Path("/dev/shm") / name).exists():
        assert time.monotonic() < until
        time.sleep(0.02)

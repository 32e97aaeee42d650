"""Engines that end with their test, and the images they see."""

from __future__ import annotations

import pytest
from engine_talk import PATIENCE_S, Gate, command, oblique_image

from SegAnyPETLib.worker import EngineClient


@pytest.fixture
def an_image():
    return oblique_image()


@pytest.fixture(scope="session")
def a_warm_engine(tmp_path_factory):
    """One child for many tests: starting one imports torch."""
    gate = Gate(tmp_path_factory.mktemp("gate"))
    engine = EngineClient(model="balls", command=command(gate))
    yield engine, gate
    gate.open()
    engine.close(wait_s=PATIENCE_S)


@pytest.fixture
def an_engine(a_warm_engine, an_image):
    """As new, with `an_image`, but perhaps with a child that runs already."""
    engine, gate = a_warm_engine
    gate.forget()
    engine.set_image(an_image)
    engine.poll()
    yield engine
    gate.open()
    engine.cancel()


@pytest.fixture
def a_gate(a_warm_engine):
    """Of `an_engine`."""
    return a_warm_engine[1]


@pytest.fixture
def another_gate(tmp_path):
    """Of the engines that `make_engine` makes."""
    return Gate(tmp_path)


@pytest.fixture
def make_engine(another_gate):
    engines = []

    def make(*options, **arguments):
        arguments.setdefault("command", command(another_gate, *options))
        engines.append(EngineClient(model="balls", **arguments))
        return engines[-1]

    yield make
    another_gate.open()
    for engine in engines:
        engine.close(wait_s=PATIENCE_S)

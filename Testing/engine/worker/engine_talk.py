"""Talking to engines in tests: images, the gate that stops the child, waiting for events."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.suv import SUVVolume
from SegAnyPETLib.worker import EngineDied

SCRIPT = Path(__file__).with_name("gated_ball_engine.py")
PATIENCE_S = 60.0


def oblique_image(*, seed=0, shape_kji=(41, 47, 53)):
    """Anisotropic, oblique, flipped, off-centre, of unequal sides; noise of mean 2."""
    c, s = np.cos(np.deg2rad(17.0)), np.sin(np.deg2rad(17.0))
    direction = ((c, -s, 0.0), (-s, -c, 0.0), (0.0, 0.0, 1.0))
    grid = Grid(shape_kji, (2.3, 2.9, 3.7), (37.0, 112.0, -250.0), direction)
    return SUVVolume(np.random.default_rng(seed).gamma(4.0, 0.5, shape_kji).astype(np.float32), grid, "bw")


def command(gate, *options):
    return [sys.executable, "-P", str(SCRIPT), str(gate.folder), *options]


class Gate:
    """Stops the child inside of its network."""

    def __init__(self, folder):
        self.folder = folder

    @property
    def encoded(self):
        """How many regions were encoded so far."""
        return self._bytes_in("encoded")

    @property
    def decoded(self):
        """How many times a region was decoded so far."""
        return self._bytes_in("decoded")

    def _bytes_in(self, name):
        file = self.folder / name
        return file.stat().st_size if file.exists() else 0

    def forget(self):
        """As a new gate."""
        self.open()
        for name in ("encoded", "decoded", "inside"):
            (self.folder / name).unlink(missing_ok=True)

    def close(self):
        (self.folder / "hold").touch()

    def open(self):
        (self.folder / "hold").unlink(missing_ok=True)

    def wait_until_child_is_inside(self, engine=None):
        until = time.monotonic() + PATIENCE_S
        while not (self.folder / "inside").exists():
            if engine is not None:
                engine.poll()
            assert time.monotonic() < until
            time.sleep(0.002)


def wait_for(engine, kind, *, count=1, refuse_deaths=True):
    """Poll until so many events of a kind came; returns all events up to then."""
    events = []
    until = time.monotonic() + PATIENCE_S
    while sum(isinstance(event, kind) for event in events) < count:
        new = engine.poll()
        events += new
        deaths = [event for event in new if isinstance(event, EngineDied)]
        assert not (refuse_deaths and deaths and kind is not EngineDied), deaths
        assert time.monotonic() < until, f"{events}, {engine.state}"
        time.sleep(0.002)
    return events


def only(events, kind):
    return [event for event in events if isinstance(event, kind)]


def pid_of(engine):
    return engine._child.pid

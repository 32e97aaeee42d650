"""Anything a person and bad luck may do, in seeded order: the last answer of each lesion is the right one."""

from __future__ import annotations

import os
import signal
import sys
import time

import numpy as np
import pytest
from engine_talk import PATIENCE_S, oblique_image
from gated_ball_engine import GatedBallModel

from SegAnyPETLib.geometry import VoxelBox
from SegAnyPETLib.session import InteractiveSession, Point
from SegAnyPETLib.session.packed_mask import PackedMask
from SegAnyPETLib.worker import EngineDied, LesionPredicted, PredictionRefused, UncertaintyReady


class Viewer:
    """What an application would show."""

    def __init__(self, engine):
        self.engine = engine
        self.newest = {}  # lesion -> (request, prompts)
        self.masks = {}
        self.open = set()

    def show_image(self, image):
        self.engine.set_image(image)
        self.image = image
        self.newest.clear()
        self.masks.clear()
        self.open.clear()

    def click(self, lesion, prompts):
        number = self.engine.predict(lesion, prompts)
        if lesion in self.newest:
            self.open.discard(self.newest[lesion][0])
        self.newest[lesion] = number, tuple(prompts)
        self.open.add(number)

    def poll(self):
        for event in self.engine.poll():
            if isinstance(event, LesionPredicted):
                before = self.masks.get(event.lesion, PackedMask.empty(self.image.grid.shape_kji))
                differing = VoxelBox.of_mask(event.packed.to_array() ^ before.to_array())
                assert event.changed == differing
                self.masks[event.lesion] = event.packed
                self.open.discard(event.request)
            elif isinstance(event, PredictionRefused):
                self.open.discard(event.request)
                if self.newest.get(event.lesion, (0,))[0] == event.request:
                    del self.newest[event.lesion]
            elif isinstance(event, EngineDied):
                assert event.restarting
            else:
                assert not isinstance(event, UncertaintyReady) or event.bits.shape == event.box.shape_kji

    def check(self):
        until = time.monotonic() + PATIENCE_S
        while self.open or self.engine.state in ("starting", "working"):
            self.poll()
            assert time.monotonic() < until, (self.open, self.engine.state)
            time.sleep(0.002)
        first = InteractiveSession(GatedBallModel())
        first.set_image(self.image)
        for lesion, (_, prompts) in self.newest.items():
            session = first.sibling()
            for prompt in prompts:
                session.add(prompt)
            expected = session.predict().packed if prompts else PackedMask.empty(self.image.grid.shape_kji)
            assert self.masks[lesion] == expected, lesion


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_after_random_clicks_undos_kills_and_images_every_mask_is_right(an_engine):
    rng = np.random.default_rng(20)
    images = [oblique_image(seed=n, shape_kji=(33 + n, 37, 41)) for n in range(2)]
    viewer = Viewer(an_engine)
    viewer.show_image(images[0])
    for step in range(240):
        lesion = f"lesion {rng.integers(0, 4)}"
        prompts = list(viewer.newest.get(lesion, (0, ()))[1])
        kji = rng.uniform(6, np.asarray(viewer.image.grid.shape_kji) - 7)
        place = tuple(round(float(v), 3) for v in viewer.image.grid.kji_to_lps(kji))
        action = rng.choice(["click", "undo", "prepare", "cancel", "forget", "sure", "image"], p=PROBABILITIES)
        if action == "click":
            viewer.click(lesion, [*prompts, Point(place, positive=not prompts or bool(rng.random() < 0.7))])
        elif action == "undo":
            viewer.click(lesion, prompts[:-1])
        elif action == "prepare":
            an_engine.prepare(place)
        elif action == "cancel":
            an_engine.cancel()
        elif action == "forget":
            an_engine.forget(lesion)
            viewer.open.discard(viewer.newest.pop(lesion, (0,))[0])
            viewer.masks.pop(lesion, None)
        elif action == "sure" and lesion in viewer.newest:
            an_engine.ask_uncertainty(lesion)
        elif action == "image":
            viewer.show_image(images[step % 2])
        if step == 100 and an_engine._child.pid is not None:
            os.kill(an_engine._child.pid, signal.SIGKILL)
        if step == 170:
            viewer.check()
            an_engine.rest()
        viewer.poll()
        time.sleep(float(rng.exponential(0.004)))
    viewer.check()


PROBABILITIES = [0.5, 0.15, 0.17, 0.03, 0.05, 0.07, 0.03]

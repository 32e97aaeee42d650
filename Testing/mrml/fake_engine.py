"""An engine without a process: the real session, its answers held back until the test lets them go."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
from ball_model import BallModel

from SegAnyPETLib.errors import PredictionCancelled, SegAnyPETError, WorkerError
from SegAnyPETLib.geometry import VoxelBox
from SegAnyPETLib.session import InteractiveSession, Point, SeedMask
from SegAnyPETLib.session.packed_mask import PackedMask
from SegAnyPETLib.suv.measures import compute_measures
from SegAnyPETLib.worker.events import LesionPredicted, PredictionRefused, UncertaintyReady

NOTHING = VoxelBox((0, 0, 0), (0, 0, 0))  # as `changed`: the editor must not rely on it, it shows what overlaps leave


class FakeEngine:
    """Answers at the next `poll`, in the order of the requests; a newer request of a lesion replaces the older.

    With `cube` the mask is not that of a session but of cubes of so many voxels, put and cut by the clicks in turn.

    Attributes:
        isHeld: While true, `poll` answers nothing.
        predicted: Number of sessions that were run.
        prepared: Places given to `prepare`.
        prompts: Lesion -> its newest prompts.
        events: What the next `poll` returns besides.
    """

    def __init__(self, *, radius_mm=12.0, cube=None):
        self.model = BallModel(radius_mm=radius_mm)
        self._cube = cube
        self.image = None
        self.images = 0
        self.isHeld = False
        self.predicted = 0
        self.prepared = []
        self.prompts = {}
        self.forgotten = []
        self.events = []
        self.fails_with = None
        self._first = None
        self._number = 0
        self._waiting = {}
        self._answers = {}

    def set_image(self, image):
        self.image = image
        self.images += 1
        self._waiting.clear()
        self._answers.clear()
        self._first = InteractiveSession(self.model)
        self._first.set_image(image)

    def predict(self, lesion, prompts, *, shown=None):
        self._number += 1
        self.prompts[lesion] = tuple(prompts)
        self._waiting[lesion] = (self._number, tuple(prompts))
        return self._number

    def prepare(self, lps_mm):
        self.prepared.append(lps_mm)

    def ask_uncertainty(self, lesion):
        self._number += 1
        if lesion not in self._answers:
            raise WorkerError("nothing was predicted")
        box, bits = self._answers[lesion].uncertainty_in_box
        self.events.append(UncertaintyReady(lesion, self._number, box, bits))
        return self._number

    def forget(self, lesion):
        self.forgotten.append(lesion)
        self._waiting.pop(lesion, None)

    def cancel(self):
        for lesion, (number, _prompts) in self._waiting.items():
            self.events.append(PredictionRefused(lesion, number, PredictionCancelled("cancelled")))
        self._waiting.clear()

    def poll(self):
        if self.isHeld:
            return []
        waiting, self._waiting = self._waiting, {}
        answers = [self._answer(lesion, number, prompts) for lesion, (number, prompts) in waiting.items()]
        events, self.events = self.events + answers, []
        return events

    def mask_of(self, prompts):
        """What the model says of these prompts, from a session of its own."""
        if self._cube is not None:
            return self._cubes(prompts)
        session = self._first.sibling()
        for prompt in prompts:
            session.add(prompt)
        return session.predict().mask

    def _cubes(self, prompts):
        mask = np.zeros(self.image.grid.shape_kji, dtype=bool)
        for prompt in prompts:
            if isinstance(prompt, SeedMask):
                mask |= prompt.mask
                continue
            place = prompt.lps_mm if isinstance(prompt, Point) else prompt.centre_lps_mm
            kji = np.rint(self.image.grid.lps_to_kji(place)).astype(int)
            low, high = np.clip([kji - self._cube // 2, kji + self._cube // 2 + 1], 0, mask.shape)
            mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = getattr(prompt, "positive", True)
        return mask

    def _answer(self, lesion, number, prompts):
        self.predicted += 1
        if self._cube is not None and self.fails_with is None:
            mask = self._cubes(prompts)
            packed, bits = PackedMask.of(mask), mask.astype(np.float32)
            box = packed.box
            self._answers[lesion] = SimpleNamespace(uncertainty_in_box=(box, bits[box.slices]))
            measures = compute_measures(self.image, mask) if mask.any() else None
            return LesionPredicted(lesion, number, packed, NOTHING, measures, 0.9, None, None, (), 0.0)
        session = self._first.sibling()
        try:
            if self.fails_with is not None:
                raise self.fails_with
            for prompt in prompts:
                session.add(prompt)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                prediction = session.predict()
        except SegAnyPETError as error:
            return PredictionRefused(lesion, number, error)
        self._answers[lesion] = prediction
        measures = compute_measures(self.image, prediction.mask) if prediction.mask.any() else None
        return LesionPredicted(
            lesion,
            number,
            prediction.packed,
            NOTHING,
            measures,
            prediction.score,
            prediction.volume_interval_ml,
            prediction.next_click_hint,
            prediction.notices,
            0.0,
        )

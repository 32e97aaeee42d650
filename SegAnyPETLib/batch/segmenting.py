"""All lesions of one study, segmented with regions shared and network calls joined."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.batch.lesion import LesionRequest
from SegAnyPETLib.batch.overlaps import Claim, share_out
from SegAnyPETLib.errors import PromptError
from SegAnyPETLib.session.clean_image import CleanImage, without_gaps
from SegAnyPETLib.session.many_objects import ManyObjects
from SegAnyPETLib.session.packed_mask import PackedMask
from SegAnyPETLib.session.prediction import Prediction
from SegAnyPETLib.session.prompt_clicks import click_of
from SegAnyPETLib.session.prompts import Box, Point, Prompt
from SegAnyPETLib.session.protocols import SegmentationModel
from SegAnyPETLib.suv import SUVVolume

NOTHING_FOUND = "The model finds no object at the prompts. Look at the place, and click it in the panel if it is one."
NO_PROMPTS = "Expected at least one prompt; found none. Give a point, a box or a seed mask for it."
NOTHING_LEFT = "No voxel is left of it: {why} Is it the same lesion, prompted twice?"


@dataclass(frozen=True, eq=False)
class SegmentedLesion:
    """What came of one request.

    Attributes:
        request: What was asked for.
        packed: The mask, one bit per voxel; empty where nothing was found.
        score: The model's confidence in its mask, before voxels went to neighbours, 0 to 1.
        volume_interval_ml: Where the true volume is expected. None where the model is not calibrated, nothing was
            found, or voxels were taken from the mask, for which no interval was ever fitted.
        notices: What the session would have said, and what overlapping lesions changed.
        reason: Why there is no mask; None where there is one.
    """

    request: LesionRequest
    packed: PackedMask
    score: float
    volume_interval_ml: tuple[float, float] | None
    notices: tuple[str, ...] = ()
    reason: str | None = None

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(K, J, I), a new read-only array."""
        mask = self.packed.to_array()
        mask.setflags(write=False)
        return mask


@dataclass(frozen=True, eq=False)
class _Alone:
    """A lesion as its own session would give it, without the logits around it."""

    claim: Claim
    score: float
    volume_interval_ml: tuple[float, float] | None
    notices: tuple[str, ...]


def segment_lesions(
    image: SUVVolume,
    requests: Sequence[LesionRequest],
    *,
    model: SegmentationModel,
    cancel: threading.Event | None = None,
    on_lesion: Callable[[LesionRequest], None] | None = None,
    at_once: int | None = None,
) -> list[SegmentedLesion]:
    """Segment all lesions of a study.

    Each mask is that of an `InteractiveSession` of its own with the same prompts, but for voxels that several lesions
    claim: each of those goes to one lesion, by the rule of `overlaps`, and those in `keep_apart` to none. The notices
    say how many. Where the network rounds differently for several regions at once, voxels whose logit is almost 0 may
    differ; on the CPU, `lite` does not.

    Args:
        image: In SUV.
        requests: What to segment.
        model: From `load_model`. One call serves several lesions where the model allows that; when memory does not
            suffice, fewer, with a warning.
        cancel: Set it from another thread to stop before the next call of the network.
        on_lesion: Called in the caller's thread whenever the model has answered for a lesion, in any order.
        at_once: The most lesions in one call; what the model says when not given.

    Returns:
        One result for each request, in their order.

    Raises:
        PredictionCancelled: `cancel` was set.
        ModelError: The model failed.
    """
    clean, _ = without_gaps(image)  # an `SUVVolume` has none
    asked = sorted((r for r in requests if r.prompts), key=lambda request: _place(request.prompts[0], clean))
    many = ManyObjects(
        clean, model, keep=lambda n, prediction: _alone(asked[n], prediction, clean), at_once=at_once, cancel=cancel
    )
    answers: dict[int, _Alone | PromptError] = {}
    for number, answer in many.predict([request.prompts for request in asked]):
        answers[id(asked[number])] = answer
        if on_lesion is not None:
            on_lesion(asked[number])
    return _shared_out(requests, [answers.get(id(request)) for request in requests], clean)


def _place(prompt: Prompt, image: CleanImage) -> tuple[float, float, float]:
    """Where a lesion lies, so that neighbours along the body follow each other: (z, y, x) in LPS mm."""
    if isinstance(prompt, Point):
        x, y, z = prompt.lps_mm
    elif isinstance(prompt, Box):
        x, y, z = prompt.centre_lps_mm
    else:
        box = prompt.packed.box
        x, y, z = image.grid.kji_to_lps((np.add(box.start_kji, box.stop_kji) - 1) / 2)
    return float(z), float(y), float(x)


def _alone(request: LesionRequest, prediction: Prediction, image: CleanImage) -> _Alone:
    """Keep what is needed of a prediction, so that its logits can go."""
    logits = np.zeros(0, dtype=np.float32)
    if not prediction.packed.box.is_empty:
        inside = prediction.packed.inside(prediction.logits.box)
        logits = prediction.logits.values[inside]
    clicks = tuple(click_of(prompt, image) for prompt in request.prompts)
    return _Alone(
        Claim(request, prediction.packed, logits, clicks),
        prediction.score,
        prediction.volume_interval_ml,
        prediction.notices,
    )


def _shared_out(
    requests: Sequence[LesionRequest], answers: Sequence[_Alone | PromptError | None], image: CleanImage
) -> list[SegmentedLesion]:
    shares = iter(share_out([a.claim for a in answers if isinstance(a, _Alone)], grid=image.grid))
    nothing = PackedMask.empty(image.grid.shape_kji)
    lesions = []
    for request, answer in zip(requests, answers, strict=True):
        if not isinstance(answer, _Alone):
            reason = NO_PROMPTS if answer is None else str(answer)
            lesions.append(SegmentedLesion(request, nothing, 0.0, None, reason=reason))
            continue
        share = next(shares)
        notices = answer.notices + share.notices
        if answer.claim.packed.box.is_empty:
            lesions.append(SegmentedLesion(request, nothing, 0.0, None, notices, NOTHING_FOUND))
        elif share.packed.box.is_empty:
            why = NOTHING_LEFT.format(why=" ".join(share.notices))
            lesions.append(SegmentedLesion(request, nothing, 0.0, None, notices, why))
        else:
            interval = None if share.notices else answer.volume_interval_ml
            lesions.append(SegmentedLesion(request, share.packed, answer.score, interval, notices))
    return lesions

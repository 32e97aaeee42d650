"""What `EngineClient.poll` returns."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.errors import SegAnyPETError
from SegAnyPETLib.geometry import VoxelBox
from SegAnyPETLib.session.click_hint import ClickHint
from SegAnyPETLib.session.packed_mask import PackedMask
from SegAnyPETLib.suv import LesionMeasures


@dataclass(frozen=True)
class EngineReady:
    """The child has loaded the model.

    Attributes:
        model: Its name.
        device: Where it computes, for example ``cpu``.
        version: Of the library in the child.
        seconds: Loading took, without the start of Python.
    """

    model: str
    device: str
    version: str
    seconds: float


@dataclass(frozen=True)
class EngineDied:
    """The child has ended without being asked to, or cannot be used.

    Attributes:
        reason: For the user; with the last lines of the child's standard error when it is not restarted.
        restarting: True: a new one is being started and goes on with what was asked. False: given up.
    """

    reason: str
    restarting: bool


@dataclass(frozen=True)
class LesionPredicted:
    """The answer to `EngineClient.predict`.

    Attributes:
        lesion: As asked.
        request: Number that `predict` returned.
        packed: The mask.
        changed: Where it differs from the mask given before for this lesion; empty where it does not.
        measures: None for an empty mask.
        score: See `Prediction.score`.
        volume_interval_ml: See `Prediction.volume_interval_ml`.
        hint: Where the next click would tell most.
        notices: What the user should be told.
        seconds: Computing time in the child.
    """

    lesion: str
    request: int
    packed: PackedMask
    changed: VoxelBox
    measures: LesionMeasures | None
    score: float
    volume_interval_ml: tuple[float, float] | None
    hint: ClickHint | None
    notices: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class PredictionRefused:
    """A request (of a prediction or of an uncertainty) that has no answer.

    Attributes:
        lesion: As asked.
        request: Its number.
        error: Why: `PredictionCancelled` after `cancel` or `rest`, an error of the session or the model, or
            `WorkerError`.
    """

    lesion: str
    request: int
    error: SegAnyPETError


@dataclass(frozen=True, eq=False)
class UncertaintyReady:
    """The answer to `EngineClient.ask_uncertainty`.

    Attributes:
        lesion: As asked.
        request: Number that `ask_uncertainty` returned.
        box: The part of the image outside of which the uncertainty is 0; may be empty.
        bits: Binary entropy in the box (k, j, i), float32, 0 certain, 1 at a probability of one half; read-only.
    """

    lesion: str
    request: int
    box: VoxelBox
    bits: NDArray[np.float32] = field(repr=False)


@dataclass(frozen=True)
class Prepared:
    """What a first click at a place would need is encoded.

    Attributes:
        lps_mm: The place.
        seconds: It took.
    """

    lps_mm: tuple[float, float, float]
    seconds: float


Event = EngineReady | EngineDied | LesionPredicted | PredictionRefused | UncertaintyReady | Prepared

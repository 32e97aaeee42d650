"""From the child's frames to the events a client returns."""

from __future__ import annotations

import numpy as np

from SegAnyPETLib.errors import WorkerError
from SegAnyPETLib.geometry import VoxelBox
from SegAnyPETLib.session.packed_mask import PackedMask
from SegAnyPETLib.worker.events import Event, LesionPredicted, PredictionRefused, Prepared, UncertaintyReady
from SegAnyPETLib.worker.frames import Frame
from SegAnyPETLib.worker.messages import (
    box_from_fields,
    error_from_fields,
    hint_from_fields,
    mask_from_message,
    measures_from_fields,
    understood,
)
from SegAnyPETLib.worker.schedule import Work

ANSWERS = frozenset({"predicted", "uncertain", "prepared", "refused"})


def number_of(frame: Frame) -> int:
    """Which request a frame answers.

    Raises:
        WorkerError: The frame does not say.
    """
    return understood(lambda: int(frame.fields["request"]), what="the number of a request")


def event_of(frame: Frame, work: Work, *, before: PackedMask) -> Event | None:
    """The event that an answer to `work` becomes; None where nobody is told.

    Args:
        frame: The answer; its kind is one of `ANSWERS`.
        work: What was asked.
        before: The mask that was given last for its lesion.

    Raises:
        WorkerError: The answer is not one to what was asked.
    """
    if frame.kind == "refused":
        error = error_from_fields(frame.fields)
        return None if work.kind == "prepare" else PredictionRefused(work.lesion, work.number, error)
    if {"predicted": "predict", "uncertain": "uncertainty", "prepared": "prepare"}[frame.kind] != work.kind:
        msg = f"Expected an answer to {work.kind}; the engine answered: {frame.kind}."
        raise WorkerError(msg)
    if frame.kind == "predicted":
        return _predicted(frame, work, before)
    if frame.kind == "uncertain":
        return understood(lambda: _uncertain(frame, work), what="an uncertainty")
    seconds = understood(lambda: float(frame.fields["seconds"]), what="a time")
    return Prepared(work.lps_mm, seconds)


def _predicted(frame: Frame, work: Work, before: PackedMask) -> LesionPredicted:
    fields = frame.fields
    mask = mask_from_message(understood(lambda: fields["mask"], what="a mask"), frame.payload)
    if mask.shape_kji != before.shape_kji:
        msg = f"Expected a mask of the image's shape {before.shape_kji}; found {mask.shape_kji}."
        raise WorkerError(msg)

    def make() -> LesionPredicted:
        interval = fields["volume_interval_ml"]
        return LesionPredicted(
            lesion=work.lesion,
            request=work.number,
            packed=mask,
            changed=mask.difference_box(before),
            measures=measures_from_fields(fields["measures"]),
            score=float(fields["score"]),
            volume_interval_ml=None if interval is None else (float(interval[0]), float(interval[1])),
            hint=hint_from_fields(fields["hint"]),
            notices=tuple(str(notice) for notice in fields["notices"]),
            seconds=float(fields["seconds"]),
        )

    return understood(make, what="a prediction")


def _uncertain(frame: Frame, work: Work) -> UncertaintyReady:
    box: VoxelBox = box_from_fields(frame.fields["box"])
    bits = np.frombuffer(frame.payload, dtype="<f4").reshape(box.shape_kji)  # read-only, as bytes are
    return UncertaintyReady(work.lesion, work.number, box, bits)

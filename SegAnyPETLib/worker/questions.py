"""The client's messages to the child: who it is, the image, and each request."""

from __future__ import annotations

import os
from collections.abc import Sequence

from SegAnyPETLib.session.prompts import Prompt
from SegAnyPETLib.version import __version__
from SegAnyPETLib.worker.frames import PROTOCOL, Frame
from SegAnyPETLib.worker.messages import grid_to_fields, prompts_to_message
from SegAnyPETLib.worker.schedule import Work
from SegAnyPETLib.worker.shared_image import SharedImage


def hello_frame(model: str, device: str) -> Frame:
    """The first message: which model the child is to load, and onto which device."""
    who = {"protocol": PROTOCOL, "version": __version__, "pid": os.getpid()}
    return Frame("hello", {**who, "model": model, "device": device})


def image_frame(image: SharedImage) -> Frame:
    """Where the image is; it is copied to shared memory first, where that was not done yet.

    Raises:
        WorkerError: There is not enough shared memory, or the image was released.
    """
    name = image.fill()
    return Frame("image", {"memory": name, "grid": grid_to_fields(image.grid), "suv_kind": image.kind})


def request_frame(work: Work, prompts: Sequence[Prompt]) -> Frame:
    """One request.

    Args:
        work: What is wanted.
        prompts: All of its lesion's, oldest first; a `prepare` has none.
    """
    fields = {"request": work.number}
    if work.kind == "prepare":
        return Frame("prepare", {**fields, "lps_mm": work.lps_mm})
    listed, payload = prompts_to_message(prompts)
    return Frame(work.kind, {**fields, "lesion": work.lesion, "prompts": listed}, payload)


def cancel_frame(work: Work) -> Frame:
    """Nobody waits for the answer to this request any more."""
    return Frame("cancel", {"request": work.number})


def forget_frame(lesion: str) -> Frame:
    """Nothing of this lesion is to be kept."""
    return Frame("forget", {"lesion": lesion})

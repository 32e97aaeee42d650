"""The child's side of the conversation."""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from math import ceil
from typing import Any, BinaryIO

from SegAnyPETLib.data.living_process import may_be_alive
from SegAnyPETLib.errors import PredictionCancelled, SegAnyPETError, SegAnyPETWarning, WorkerError
from SegAnyPETLib.session import Prediction
from SegAnyPETLib.session.packed_mask import PackedMask
from SegAnyPETLib.suv import LesionMeasures, SUVVolume, compute_measures
from SegAnyPETLib.suv.peak import PEAK_RADIUS_MM
from SegAnyPETLib.version import __version__
from SegAnyPETLib.worker.frames import PROTOCOL, Frame, read_frame, write_frame
from SegAnyPETLib.worker.lesions import Lesions
from SegAnyPETLib.worker.messages import (
    box_to_fields,
    error_to_fields,
    grid_from_fields,
    mask_to_fields,
    prompts_from_message,
    understood,
)
from SegAnyPETLib.worker.shared_image import AttachedImage

ORPHAN_WAIT_S = 2.0

# What the libraries below us may raise. One request is refused then; the next one may do better.
UNEXPECTED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    ImportError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


class Child:
    """Reads requests in one thread, answers them in the one that calls `run`.

    Args:
        incoming: From the client.
        outgoing: To the client.
        load_model: Called with the model's name and ``device=``.
    """

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO, *, load_model: Callable[..., Any]) -> None:
        self._incoming, self._outgoing = incoming, outgoing
        self._load_model = load_model
        self._inbox: queue.SimpleQueue[Frame] = queue.SimpleQueue()
        self._cancels: dict[int, threading.Event] = {}
        self._attached: AttachedImage | None = None
        self._unclosed: list[AttachedImage] = []
        self._client_pid = 0
        self._told_device = ""

    def run(self) -> int:
        """Answer until the client closes the pipe; the exit code when the child cannot even begin."""
        started = time.perf_counter()
        self._say(Frame("hello", {"protocol": PROTOCOL, "version": __version__}))
        try:
            name, device = self._greeted()
            threading.Thread(target=self._listen, name="reads requests", daemon=True).start()
            model = self._load_model(name, device=device)
        except SegAnyPETError as error:
            self._say(Frame("unavailable", error_to_fields(error)))
            return 1
        self._lesions = Lesions(model)
        self._tell_where("ready", model, seconds=time.perf_counter() - started)
        while True:
            self._serve(self._inbox.get())
            if str(model.device) != self._told_device:  # a graphics card without memory left: it went on elsewhere
                self._tell_where("moved", model, seconds=0.0)

    def _tell_where(self, kind: str, model: Any, *, seconds: float) -> None:  # whatever was loaded
        """Which model it is and on which device."""
        self._told_device = str(model.device)
        self._say(Frame(kind, {"model": str(model.spec.name), "device": self._told_device, "seconds": seconds}))

    def _greeted(self) -> tuple[str, str]:
        """The model and the device the client wants.

        Raises:
            WorkerError: It speaks another protocol.
        """
        hello = read_frame(self._incoming)
        if hello is None or hello.kind != "hello" or hello.fields.get("protocol") != PROTOCOL:
            found = "nothing" if hello is None else repr(hello.fields.get("protocol"))
            msg = f"Expected a client with protocol {PROTOCOL}; found {found}. Restart the application."
            raise WorkerError(msg)
        fields = hello.fields
        self._client_pid = understood(lambda: int(fields["pid"]), what="the number of a process")
        return understood(lambda: (str(fields["model"]), str(fields["device"])), what="a model and a device")

    def _say(self, frame: Frame) -> None:
        with suppress(BrokenPipeError):  # the client is gone; the reading thread ends the process
            write_frame(self._outgoing, frame)

    def _listen(self) -> None:
        """Read until the client closes the pipe, then end the process, whatever it is doing."""
        code = 0
        is_farewell = False
        try:
            while not is_farewell and (frame := read_frame(self._incoming)) is not None:
                is_farewell = frame.kind == "bye"
                number = frame.fields.get("request")
                if frame.kind == "cancel":
                    if (event := self._cancels.get(number)) is not None:  # type: ignore[arg-type]  # any key may miss
                        event.set()
                    continue
                if isinstance(number, int):
                    self._cancels[number] = threading.Event()
                self._inbox.put(frame)
        except (WorkerError, TypeError) as error:
            sys.stderr.write(f"{error}\n")
            code = 2
        if not is_farewell and code == 0:
            self._clean_up_after_client()
        sys.stderr.flush()
        os._exit(code)

    def _clean_up_after_client(self) -> None:
        """Remove the shared memory of a client that was killed; a living one does that itself."""
        until = time.monotonic() + ORPHAN_WAIT_S
        while self._attached is not None and time.monotonic() < until:
            if not may_be_alive(self._client_pid):  # Windows removes shared memory with its last user
                self._attached.remove()
                return
            time.sleep(0.02)

    def _serve(self, frame: Frame) -> None:
        if frame.kind == "image":
            self._set_image(frame)
        elif frame.kind == "forget":
            self._lesions.forget(str(frame.fields.get("lesion")))
        elif isinstance(number := frame.fields.get("request"), int):
            answer = self._answer(frame, self._cancels[number])
            del self._cancels[number]
            self._say(answer)
        else:
            sys.stderr.write(f"Expected a request with a number; found one of the kind {frame.kind[:40]!r}.\n")
            sys.stderr.flush()
            os._exit(2)

    def _set_image(self, frame: Frame) -> None:
        """Look at another image; where that fails, every request for it is refused."""
        self._lesions.set_image(None)
        if self._attached is not None:
            self._unclosed.append(self._attached)
            self._attached = None
        self._unclosed = [image for image in self._unclosed if not image.close()]
        try:
            fields = frame.fields
            grid = understood(lambda: grid_from_fields(fields["grid"]), what="a grid")
            attached = AttachedImage(str(fields.get("memory")), grid.shape_kji)
            self._attached = attached
            self._lesions.set_image(SUVVolume(attached.array, grid, fields.get("suv_kind")))  # type: ignore[arg-type]  # both are checked there
        except SegAnyPETError as error:
            sys.stderr.write(f"{error}\n")

    def _answer(self, frame: Frame, cancel: threading.Event) -> Frame:
        fields = {"request": frame.fields["request"]}
        started = time.perf_counter()
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", SegAnyPETWarning)
                answer = self._computed(frame, cancel)
        except SegAnyPETError as error:
            return Frame("refused", {**fields, **error_to_fields(error)})
        except UNEXPECTED as error:
            traceback.print_exc(file=sys.stderr)
            return Frame("refused", {**fields, **error_to_fields(_as_ours(error))})
        if answer.kind == "predicted":
            told = [str(w.message) for w in caught if issubclass(w.category, SegAnyPETWarning)]
            fields["notices"] = list(dict.fromkeys([*answer.fields["notices"], *told]))
        seconds = time.perf_counter() - started
        return Frame(answer.kind, {**answer.fields, **fields, "seconds": seconds}, answer.payload)

    def _computed(self, frame: Frame, cancel: threading.Event) -> Frame:
        fields = frame.fields
        if cancel.is_set():
            msg = "The request was cancelled before it began."
            raise PredictionCancelled(msg)
        if frame.kind == "prepare":
            x, y, z = understood(lambda: [float(value) for value in fields["lps_mm"]], what="a place")
            self._lesions.prepare((x, y, z), cancel=cancel)
            return Frame("prepared")
        if frame.kind not in ("predict", "uncertainty"):
            msg = f"Expected predict, uncertainty or prepare; found {frame.kind[:40]!r}."
            raise WorkerError(msg)
        lesion = understood(lambda: str(fields["lesion"]), what="a lesion")
        prompts = prompts_from_message(understood(lambda: fields["prompts"], what="prompts"), frame.payload)
        prediction = self._lesions.predict(lesion, prompts, cancel=cancel)
        if cancel.is_set():
            msg = "The request was cancelled; its answer is not needed any more."
            raise PredictionCancelled(msg)
        if frame.kind == "uncertainty":
            box, bits = prediction.uncertainty_in_box
            return Frame("uncertain", {"box": box_to_fields(box)}, bits.astype("<f4").tobytes())
        return _predicted(prediction, self._lesions.image)


def measures_of(mask: PackedMask, image: SUVVolume) -> LesionMeasures | None:
    """The same as `compute_measures` on the whole image, from the part of it that matters; None for an empty mask."""
    if mask.box.is_empty:
        return None
    margin = ceil(PEAK_RADIUS_MM / min(image.grid.spacing_ijk_mm)) + 2  # the sphere of SUVpeak may leave the mask
    box = mask.box.expanded(margin).intersection(image.grid.box)
    part = SUVVolume(image.array[box.slices], image.grid.crop(box), image.kind)
    return compute_measures(part, mask.inside(box))


def _predicted(prediction: Prediction, image: SUVVolume) -> Frame:
    measures = measures_of(prediction.packed, image)
    hint = prediction.next_click_hint
    fields = {
        "mask": mask_to_fields(prediction.packed),
        "measures": asdict(measures) if measures is not None else None,
        "score": prediction.score,
        "volume_interval_ml": prediction.volume_interval_ml,
        "hint": asdict(hint) if hint is not None else None,
        "notices": prediction.notices,
    }
    return Frame("predicted", fields, prediction.packed.bits)


def _as_ours(error: BaseException) -> WorkerError:
    if isinstance(error, MemoryError) or "memory" in str(error).lower():
        return WorkerError(f"Expected enough memory for the prediction; found: {error or 'none left'}. Free some.")
    return WorkerError(f"The prediction failed ({type(error).__name__}: {error}). Please report this.")

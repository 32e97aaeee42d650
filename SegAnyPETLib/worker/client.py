"""`EngineClient`: the engine as a graphical application sees it. No call waits for the child."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Literal

import numpy as np

from SegAnyPETLib.errors import PredictionCancelled, SegAnyPETError, SessionError, WorkerError
from SegAnyPETLib.geometry import VoxelBox
from SegAnyPETLib.session.packed_mask import PackedMask
from SegAnyPETLib.session.prompts import Prompt
from SegAnyPETLib.suv import SUVVolume
from SegAnyPETLib.worker.answers import event_of, number_of
from SegAnyPETLib.worker.child_process import ChildProcess, Ending, default_command
from SegAnyPETLib.worker.conversation import Conversation
from SegAnyPETLib.worker.events import (
    EngineDied,
    EngineReady,
    Event,
    LesionPredicted,
    PredictionRefused,
    UncertaintyReady,
)
from SegAnyPETLib.worker.frames import Frame
from SegAnyPETLib.worker.messages import rounded, to_micrometre
from SegAnyPETLib.worker.questions import cancel_frame, forget_frame, hello_frame, image_frame, request_frame
from SegAnyPETLib.worker.schedule import Schedule, Work
from SegAnyPETLib.worker.shared_image import SharedImage

EngineState = Literal["stopped", "starting", "ready", "working", "failed"]

MOST_DEATHS = 3  # one after the other, without an answer in between
YIELD_S = 0.001  # see `_let_threads_run`
NO_BOX = VoxelBox((0, 0, 0), (0, 0, 0))


class EngineClient:
    """Predicts lesions of one image at a time in a child process.

    The child is only a cache: every request carries all it needs, and when the child dies another one is started and
    is given the image and what was not answered yet. All methods are for one thread, for example the one of a
    graphical interface; none of them waits. Each request gets one event, except where a newer one for the same lesion
    superseded it, or the lesion was forgotten or the image changed before its answer was fetched.

    Args:
        model: Name of a registered model, or path of a weights file.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
        command: Program and arguments of the child, when it is not ``python -m SegAnyPETLib.worker``.
        environment: Variables for the child besides those of this process.
    """

    def __init__(
        self,
        *,
        model: str = "lite",
        device: str = "auto",
        command: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._model, self._device = model, device
        self._command = list(command) if command is not None else default_command()
        self._environment = dict(environment or {})
        self._lock = threading.RLock()
        self._schedule = Schedule()
        self._events: list[Event] = []
        self._numbers = 0
        self._child: ChildProcess | None = None
        self._is_ready = False
        self._failure = ""  # why it was given up; empty while it was not
        self._deaths = 0
        self._image: SharedImage | None = None
        self._image_failure = ""  # why the child could not be given the image
        self._asked: dict[str, tuple[Prompt, ...]] = {}
        self._given: dict[str, PackedMask] = {}
        self._is_closed = False

    @property
    def state(self) -> EngineState:
        """`failed` after three deaths, or when the model cannot be loaded; `start` tries again."""
        with self._lock:
            if self._failure:
                return "failed"
            if self._child is None:
                return "stopped"
            if not self._is_ready:
                return "starting"
            return "working" if self._schedule.is_busy else "ready"

    def start(self) -> None:
        """Start the child, if none runs; `EngineReady` follows when it has loaded the model.

        Raises:
            SessionError: The client was closed.
        """
        with self._lock:
            self._require_open()
            self._failure = ""
            self._deaths = 0
            self._wake()

    def set_image(self, image: SUVVolume) -> None:
        """Predict in this image from now on; lesions, requests and answers of the one before are forgotten.

        Args:
            image: Kept until it was copied to shared memory, which happens in another thread.

        Raises:
            SessionError: The client was closed.
        """
        with self._lock:
            self._require_open()
            self._schedule.drop()
            self._asked.clear()
            self._given.clear()
            self._events = [event for event in self._events if isinstance(event, (EngineReady, EngineDied))]
            if self._image is not None:
                self._image.release()
            self._image, self._image_failure = SharedImage(image), ""
            if self._child is not None and self._is_ready:
                self._tell_cancelled(self._child)
                self._child.send(partial(self._image_frame, self._image))
        self._let_threads_run()

    def predict(self, lesion: str, prompts: Sequence[Prompt], *, shown: PackedMask | None = None) -> int:
        """Ask for the mask of a lesion; `LesionPredicted` or `PredictionRefused` follows.

        Args:
            lesion: Any name.
            prompts: All of the lesion's, oldest first; none gives the empty mask, without asking the child. Points are
                rounded to a micrometre, so that a click is where the cursor was when `prepare` was called.
            shown: The mask that is shown for the lesion now, where it is not the one given last; `changed` of the
                answer is relative to it.

        Returns:
            The number of the request.

        Raises:
            SessionError: No image was set, or the client was closed.
        """
        with self._lock:
            image = self._require_image()
            wanted = tuple(to_micrometre(prompt) for prompt in prompts)
            self._asked[lesion] = wanted
            if shown is not None:
                self._given[lesion] = shown
            number = self._next_number()
            if wanted:
                self._ask(Work(number, "predict", lesion, prompts=wanted))
            else:
                self._schedule.drop(lesion)
                empty = PackedMask.empty(image.grid.shape_kji)
                changed = empty.difference_box(self._given_for(lesion))
                self._given[lesion] = empty
                self._events.append(LesionPredicted(lesion, number, empty, changed, None, 0.0, None, None, (), 0.0))
                self._give_next()
        self._let_threads_run()
        return number

    def prepare(self, lps_mm: tuple[float, float, float]) -> None:
        """Answer a first click at a place ahead; `Prepared` may follow.

        The newest place wins, and any prediction goes first and ends it, except one for a click at that very place. A
        place outside the image is ignored, as is the call without an image.
        """
        place = rounded(lps_mm)
        with self._lock:
            self._require_open()
            image = self._image
            if image is None or not image.grid.contains_kji(image.grid.lps_to_kji(place)):
                return
            self._ask(Work(self._next_number(), "prepare", lps_mm=place))

    def ask_uncertainty(self, lesion: str) -> int:
        """Ask how sure the newest prediction of a lesion is; `UncertaintyReady` or `PredictionRefused` follows.

        Returns:
            The number of the request.

        Raises:
            SessionError: The lesion was never predicted in this image, or the client was closed.
        """
        with self._lock:
            self._require_image()
            if lesion not in self._asked:
                msg = f"Expected a lesion that was predicted in this image; found {lesion!r}. Call predict first."
                raise SessionError(msg)
            number = self._next_number()
            if self._asked[lesion]:
                self._ask(Work(number, "uncertainty", lesion))
            else:
                self._events.append(UncertaintyReady(lesion, number, NO_BOX, np.zeros((0, 0, 0), dtype=np.float32)))
        self._let_threads_run()
        return number

    def forget(self, lesion: str) -> None:
        """Drop a lesion: what is being computed for it, answers that were not fetched, what the child keeps."""
        with self._lock:
            self._schedule.drop(lesion)
            self._asked.pop(lesion, None)
            self._given.pop(lesion, None)
            self._events = [event for event in self._events if getattr(event, "lesion", None) != lesion]
            if self._child is not None and self._is_ready:
                self._child.send(forget_frame(lesion))
            self._give_next()

    def cancel(self) -> None:
        """Stop what is computed and what waits; each request is refused with `PredictionCancelled`."""
        with self._lock:
            self._refuse_all(PredictionCancelled("The prediction was cancelled. Click again to predict."))
            self._give_next()
        self._let_threads_run()

    def poll(self) -> list[Event]:
        """The events since the last call, oldest first."""
        self._let_threads_run()
        with self._lock:
            events, self._events = self._events, []
        return events

    def rest(self) -> None:
        """End the child, so that its memory is free; the next request starts another one.

        What was not answered is refused with `PredictionCancelled`. The image stays in shared memory.
        """
        with self._lock:
            self._refuse_all(PredictionCancelled("The engine was put to rest. Click again to predict."))
            self._end_child()

    def close(self, *, wait_s: float = 0.0) -> None:
        """End the child and give the shared memory back; more calls do nothing.

        Args:
            wait_s: How long to wait until the child has ended; not at all by default.
        """
        with self._lock:
            self._is_closed = True
            self._schedule.drop()
            child = self._child
            self._end_child()
            if self._image is not None:
                self._image.release()
                self._image = None
            self._events.clear()
        if child is not None and wait_s > 0:
            child.wait_until_ended(wait_s)

    # What follows is called with the lock held, in the application's thread or the child's reading thread.

    def _require_open(self) -> None:
        if self._is_closed:
            msg = "Expected an open engine; this one was closed. Make a new EngineClient."
            raise SessionError(msg)

    def _require_image(self) -> SharedImage:
        self._require_open()
        if self._image is None:
            msg = "Expected an image; none was set. Call set_image(image) first."
            raise SessionError(msg)
        return self._image

    def _next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _given_for(self, lesion: str) -> PackedMask:
        return self._given.get(lesion) or PackedMask.empty(self._require_image().grid.shape_kji)

    def _ask(self, work: Work) -> None:
        reason = self._image_failure
        if self._failure:
            reason = f"{self._failure} Start the engine again, or choose another model or device in Settings."
        if reason:
            if work.kind != "prepare":
                self._events.append(PredictionRefused(work.lesion, work.number, WorkerError(reason)))
            return
        self._schedule.ask(work)
        self._wake()
        self._give_next()

    def _wake(self) -> None:
        if self._child is None:
            self._child = ChildProcess(self._command, self._environment)
            threading.Thread(target=self._watch, args=(self._child,), name="SegAnyPET reads", daemon=True).start()

    def _end_child(self) -> None:
        child, self._child, self._is_ready = self._child, None, False
        self._schedule.child_is_gone()
        if child is not None:
            child.stop()

    def _refuse_all(self, error: SegAnyPETError) -> None:
        for work in self._schedule.drop():
            if work.kind != "prepare":
                self._events.append(PredictionRefused(work.lesion, work.number, error))

    def _tell_cancelled(self, child: ChildProcess) -> None:
        for work in self._schedule.take_cancelled():
            child.send(cancel_frame(work))

    def _give_next(self) -> None:
        """Tell the child what to stop and what to do next."""
        child = self._child
        if child is None or not self._is_ready:
            return
        self._tell_cancelled(child)
        while (work := self._schedule.next_to_give()) is not None:
            prompts = () if work.kind == "prepare" else work.prompts or self._asked[work.lesion]
            child.send(request_frame(work, prompts))

    # What follows runs in threads of its own.

    def _image_frame(self, image: SharedImage) -> Frame | None:
        try:
            return image_frame(image)
        except WorkerError as error:
            with self._lock:
                if image is self._image:
                    self._image_failure = str(error)
                    self._refuse_all(error)
            return None

    def _watch(self, child: ChildProcess) -> None:
        following: ChildProcess | None = child
        while following is not None:
            child = following
            child.send(hello_frame(self._model, self._device))
            conversation = Conversation(
                ready=partial(self._child_is_ready, child),
                moved=partial(self._child_moved, child),
                answered=partial(self._child_answered, child),
            )
            ending = child.run(conversation.received)
            with self._lock:
                following = self._child_ended(child, ending, must_give_up=conversation.is_hopeless)

    def _child_is_ready(self, child: ChildProcess, event: EngineReady) -> None:
        with self._lock:
            if child is not self._child:
                return
            self._is_ready = True
            self._events.append(event)
            if self._image is not None:
                child.send(partial(self._image_frame, self._image))
            self._give_next()

    def _child_moved(self, child: ChildProcess, event: EngineReady) -> None:
        with self._lock:
            if child is self._child:
                self._events.append(event)

    def _child_answered(self, child: ChildProcess, frame: Frame) -> None:
        number = number_of(frame)
        with self._lock:
            work = self._schedule.wanted(number) if child is self._child else None
            before = self._given_for(work.lesion) if work is not None else None
        # Without the lock, for large masks take time; meanwhile the answer may become unwanted.
        event = event_of(frame, work, before=before) if work is not None and before is not None else None
        with self._lock:
            if child is not self._child:
                return
            if self._schedule.answered(number) is not None:
                self._deaths = 0
                if isinstance(event, LesionPredicted):
                    self._given[event.lesion] = event.packed
                if event is not None:
                    self._events.append(event)
            self._give_next()

    def _child_ended(self, child: ChildProcess, ending: Ending, *, must_give_up: bool) -> ChildProcess | None:
        """What follows a child's end: another child, or nothing."""
        if child is not self._child:
            return None  # it was asked to end
        self._is_ready = False
        self._deaths += 1
        self._schedule.child_is_gone()
        if not must_give_up and self._deaths < MOST_DEATHS:
            self._child = ChildProcess(self._command, self._environment)
            self._events.append(EngineDied(ending.reason, restarting=True))
            return self._child
        self._child = None
        self._failure = ending.reason
        lines = "" if must_give_up else "\n".join(("", *ending.last_lines))
        self._events.append(EngineDied(ending.reason + lines, restarting=False))
        self._refuse_all(WorkerError(ending.reason))
        return None

    def _let_threads_run(self) -> None:
        """Sleep for a moment, so that Python's lock is free for the threads that read and write.

        Slicer keeps the lock while it waits for events in C++; without this its other threads would stand still.
        """
        if self._child is not None:
            time.sleep(YIELD_S)

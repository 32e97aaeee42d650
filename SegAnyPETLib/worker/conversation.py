"""What one child may say, in which order, as the client hears it."""

from __future__ import annotations

from collections.abc import Callable

from SegAnyPETLib.errors import WorkerError
from SegAnyPETLib.worker.answers import ANSWERS
from SegAnyPETLib.worker.events import EngineReady
from SegAnyPETLib.worker.frames import PROTOCOL, Frame
from SegAnyPETLib.worker.messages import error_from_fields, understood


class Conversation:
    """First ``hello``; then ``ready`` or ``unavailable``; then answers, and ``moved`` when it changed the device.

    Args:
        ready: Called when the model is loaded.
        moved: Called when the model went to another device.
        answered: Called with each frame that answers a request.

    Attributes:
        is_hopeless: Another child would say the same, so that none should be started.
    """

    def __init__(
        self,
        *,
        ready: Callable[[EngineReady], None],
        moved: Callable[[EngineReady], None],
        answered: Callable[[Frame], None],
    ) -> None:
        self._ready, self._moved, self._answered = ready, moved, answered
        self._version: str | None = None
        self.is_hopeless = False

    def received(self, frame: Frame) -> None:
        """Act on a frame.

        Raises:
            WorkerError: It is not one that may come now; the child must end.
        """
        if self._version is None:
            self._version = self._checked_hello(frame)
        elif frame.kind == "ready":
            self._ready(self._ready_event(frame, self._version))
        elif frame.kind == "moved":
            self._moved(self._ready_event(frame, self._version))
        elif frame.kind == "unavailable":
            self.is_hopeless = True
            raise WorkerError(str(error_from_fields(frame.fields)))
        elif frame.kind in ANSWERS:
            self._answered(frame)
        else:
            msg = f"Expected an answer of the engine; found a message of the kind {frame.kind[:40]!r}."
            raise WorkerError(msg)

    def _checked_hello(self, frame: Frame) -> str:
        if frame.kind != "hello" or frame.fields.get("protocol") != PROTOCOL:
            self.is_hopeless = frame.kind == "hello"
            msg = (
                f"Expected an engine with protocol {PROTOCOL}; found {frame.fields.get('protocol')!r}, version "
                f"{frame.fields.get('version')!r}. The extension was updated: restart the application."
            )
            raise WorkerError(msg)
        return str(frame.fields.get("version"))

    def _ready_event(self, frame: Frame, version: str) -> EngineReady:
        fields = frame.fields
        return understood(
            lambda: EngineReady(str(fields["model"]), str(fields["device"]), version, float(fields["seconds"])),
            what="a model and a device",
        )

"""The child's sessions: one per lesion, brought to whatever prompts are wanted."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

from SegAnyPETLib.errors import SessionError
from SegAnyPETLib.session import InteractiveSession, Prediction, Prompt, SegmentationModel
from SegAnyPETLib.suv import SUVVolume

MOST_SESSIONS = 32  # each keeps the logits of its history; beyond that the least recently used are made again


class Lesions:
    """Predicts lesions of one image.

    Args:
        model: The promptable network.
    """

    def __init__(self, model: SegmentationModel) -> None:
        self._model = model
        self._first: InteractiveSession | None = None
        self._sessions: OrderedDict[str, InteractiveSession] = OrderedDict()
        self._image: SUVVolume | None = None

    @property
    def image(self) -> SUVVolume:
        """The image.

        Raises:
            SessionError: None was set.
        """
        if self._image is None:
            msg = "Expected an image; the engine has none. Choose the image again."
            raise SessionError(msg)
        return self._image

    def set_image(self, image: SUVVolume | None) -> None:
        """Predict in this image from now on, or in none; everything about the one before is dropped."""
        self._sessions.clear()
        self._first = None
        self._image = image
        if image is not None:
            self._first = InteractiveSession(self._model)
            self._first.set_image(image)

    def predict(self, lesion: str, prompts: Sequence[Prompt], *, cancel: threading.Event) -> Prediction:
        """What the session of a lesion predicts for these prompts; see `InteractiveSession.predict`."""
        session = self._sessions.get(lesion) or self._require_first().sibling()
        self._sessions[lesion] = session
        self._sessions.move_to_end(lesion)
        while len(self._sessions) > MOST_SESSIONS:
            self._sessions.popitem(last=False)
        bring_to(session, prompts)
        return session.predict(cancel=cancel)

    def prepare(self, lps_mm: tuple[float, float, float], *, cancel: threading.Event) -> None:
        """See `InteractiveSession.prepare`."""
        self._require_first().prepare(lps_mm, cancel=cancel)

    def forget(self, lesion: str) -> None:
        """Drop the session of a lesion, if there is one."""
        self._sessions.pop(lesion, None)

    def _require_first(self) -> InteractiveSession:
        if self._first is None:
            _ = self.image  # raises
            msg = "Expected a session for the image; found none. Please report this."
            raise SessionError(msg)
        return self._first


def bring_to(session: InteractiveSession, prompts: Sequence[Prompt]) -> None:
    """Undo, redo and add until the session's prompts are `prompts`; what both begin with is not computed again.

    Raises:
        PromptError: A prompt does not fit the image.
    """
    same = 0
    for wanted, present in zip(prompts, session.prompts, strict=False):
        if wanted != present:
            break
        same += 1
    while len(session.prompts) > same:
        session.undo()
    for prompt in prompts[same:]:
        if session.can_redo:
            session.redo()
            if session.prompts[-1] == prompt:
                continue
            session.undo()
        session.add(prompt)

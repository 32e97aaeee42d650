"""What the editor asks of the engine: the members of `SegAnyPETLib.worker.EngineClient` it uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from SegAnyPETLib.session.packed_mask import PackedMask
from SegAnyPETLib.session.prompts import Prompt

if TYPE_CHECKING:
    from SegAnyPETLib.suv import SUVVolume


class Engine(Protocol):
    """Predicts somewhere else; no call waits, answers come from `poll`."""

    def set_image(self, image: SUVVolume) -> None:
        """Work on `image` from now on; lesions of the image before are forgotten."""

    def predict(self, lesion: str, prompts: Sequence[Prompt], *, shown: PackedMask | None = None) -> int:
        """Ask for the mask of all `prompts`; returns the number of the request."""

    def prepare(self, lps_mm: tuple[float, float, float]) -> None:
        """A first click may come here soon."""

    def ask_uncertainty(self, lesion: str) -> int:
        """Ask how sure the newest answer is; returns the number of the request."""

    def forget(self, lesion: str) -> None:
        """This lesion is gone."""

    def cancel(self) -> None:
        """Stop what is running."""

    def poll(self) -> Sequence[Any]:  # the event classes of `SegAnyPETLib.worker`, which have no common base
        """What has happened since the last call."""

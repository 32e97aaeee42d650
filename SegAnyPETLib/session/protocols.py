"""What a session asks of an image and of a model; anything with these members will do."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.model.calibration import Calibration
from SegAnyPETLib.preprocess import Normalization, TensorAxes


class PETImage(Protocol):
    """A volume in SUV on its grid, for example a `SUVVolume`."""

    @property
    def array(self) -> NDArray[np.float32]:
        """(K, J, I) float32; the session keeps a reference and never writes to it."""

    @property
    def grid(self) -> Grid:
        """Where the voxels lie."""


class Preprocessing(Protocol):
    """What the network expects; see `PreprocessingSpec`."""

    @property
    def roi_shape(self) -> tuple[int, int, int]:
        """Voxels along the tensor's D, H, W."""

    @property
    def spacings_mm(self) -> tuple[float, ...]:
        """Start spacing first, then finer ones."""

    @property
    def tensor_axes(self) -> TensorAxes:
        """Where D, H, W point."""

    @property
    def normalization(self) -> Normalization:
        """How SUV becomes the network's input."""

    @property
    def mask_prompt_first(self) -> str:
        """`zeros` or `none`: what stands for the previous mask at the first click."""

    @property
    def points(self) -> str:
        """`accumulate`, `newest` or `reaching`: which points a prediction is given, and whether with their reach."""

    @property
    def first_looks(self) -> int:
        """How often a region without an earlier answer is decoded, from the second time on with the answer before."""

    @property
    def mask_shape(self) -> tuple[int, int, int]:
        """Shape of the mask logits, (d, h, w)."""


class ModelDescription(Protocol):
    """The part of a model's registry entry that a session reads."""

    @property
    def preprocessing(self) -> Preprocessing:
        """What the network expects."""


@runtime_checkable
class CalibratedDescription(Protocol):
    """What a registry entry may have besides; a model without this member is not calibrated."""

    @property
    def calibration(self) -> Calibration | None:
        """What was fitted for these weights; None where nothing was."""


class SegmentationModel(Protocol):
    """A promptable network with its weights."""

    @property
    def spec(self) -> ModelDescription:
        """What is known about the model."""

    def encode(self, volume: Any) -> Any:  # torch tensors: this file must not import torch
        """Embedding, of any type, of a normalized tensor (1, 1, D, H, W)."""

    def decode(
        self, embedding: Any, *, points: tuple[Any, Any] | None = None, mask_logits: Any | None = None
    ) -> tuple[Any, Any]:
        """Logits (1, C, d, h, w), channel 0 the single mask, and a quality that the session ignores."""


@runtime_checkable
class BatchingModel(Protocol):
    """What a model may have besides: one call for several regions or sets of prompts, the first axis of each tensor.

    Its embeddings are tensors with that first axis, or (named) tuples of them.

    Attributes:
        batch_size: How many are best given in one call; whoever finds memory too small for them lowers it.
    """

    batch_size: int

    def batching(self) -> AbstractContextManager[None]:
        """While inside, memory that does not suffice is a `DeviceError`, and the next call may be for fewer."""

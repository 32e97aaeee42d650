"""The network as the session sees it: a region and prompts in, logits on the region out.

This is the only file of the session that touches torch, and only when the first region is decoded.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.errors import ModelError, PredictionCancelled
from SegAnyPETLib.preprocess import Region, normalize, resample_to_region
from SegAnyPETLib.session.protocols import PETImage, Preprocessing, SegmentationModel
from SegAnyPETLib.session.region_cache import RegionCache


@dataclass(frozen=True)
class Click:
    """A point the network is given: one the user set, or one derived from a box or a seed.

    Attributes:
        lps_mm: Where.
        positive: Belongs to the object.
        reach_mm: How far it reaches, see `clicks.reach_of_click`; 0 where that is not known.
    """

    lps_mm: tuple[float, float, float]
    positive: bool
    reach_mm: float = 0.0


class RegionNetwork:
    """Encodes regions of one image, once each while they are kept, and decodes prompts in them.

    Args:
        image: The volume in SUV.
        model: The promptable network.
        cache: Where embeddings are kept; it must hold regions of this image and model only.
    """

    def __init__(self, image: PETImage, model: SegmentationModel, *, cache: RegionCache) -> None:
        self.image = image
        self.model = model
        self.cache = cache

    @property
    def preprocessing(self) -> Preprocessing:
        """What the network expects."""
        return self.model.spec.preprocessing

    def decode(
        self,
        region: Region,
        clicks: Sequence[Click],
        *,
        mask_logits: NDArray[np.float32] | None,
        cancel: threading.Event | None,
    ) -> NDArray[np.float32]:
        """Mask logits (d, h, w) of the single mask in `region`, decoded several times where there is no earlier one.

        Args:
            region: Where; encoded first when it is not known.
            clicks: Points inside the region; may be empty.
            mask_logits: The mask prompt (d, h, w), or None.
            cancel: Checked before the encoder and before each call of the decoder.

        Raises:
            PredictionCancelled: `cancel` is set.
            ModelError: The network answered with another shape or with values that are not finite.
        """
        import torch

        check_cancelled(cancel)
        embedding, _ = self._encoded(region)
        points = None
        if clicks:
            indices = region.lps_to_tensor([click.lps_mm for click in clicks]).copy()  # torch refuses negative strides
            if self.preprocessing.points == "reaching":
                reach_voxels = np.asarray([[click.reach_mm / region.spacing_mm] for click in clicks])
                indices = np.concatenate([indices, reach_voxels], axis=1)
            labels = [float(click.positive) for click in clicks]
            points = torch.tensor(indices[None], dtype=torch.float32), torch.tensor([labels], dtype=torch.float32)
        mask = None if mask_logits is None else torch.from_numpy(np.ascontiguousarray(mask_logits))[None, None]
        for _ in range(self.preprocessing.first_looks if mask_logits is None else 1):
            check_cancelled(cancel)
            logits = self._ask_decoder(embedding, points, mask)
            mask = logits[:, :1]
        return self._checked(_to_numpy(logits))

    def suv_in(self, region: Region) -> NDArray[np.float32]:
        """The image in `region` at the resolution of the mask logits, (d, h, w): means of whole groups of voxels."""
        return self._encoded(region)[1]

    def _encoded(self, region: Region) -> tuple[Any, NDArray[np.float32]]:  # whatever the model calls an embedding
        known: tuple[Any, NDArray[np.float32]] = self.cache.get(region, lambda: self._encode(region))
        return known

    def _encode(self, region: Region) -> tuple[Any, NDArray[np.float32]]:
        tensor, suv = self._input_of(region)
        return self.model.encode(tensor), suv

    def _input_of(self, region: Region) -> tuple[Any, NDArray[np.float32]]:
        """The tensor (1, 1, D, H, W) that the encoder takes, and the SUVs of `suv_in`."""
        import torch

        volume = resample_to_region(self.image.array, self.image.grid, region)
        tensor = torch.from_numpy(normalize(volume, self.preprocessing.normalization))
        return tensor[None, None], _averaged(volume, self.preprocessing.mask_shape)

    def _ask_decoder(self, embedding: Any, points: tuple[Any, Any] | None, mask_logits: Any) -> Any:
        """Mask logits (1, C, d, h, w) as the model gives them."""
        return self.model.decode(embedding, points=points, mask_logits=mask_logits)[0]

    def _checked(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        expected = tuple(self.preprocessing.mask_shape)
        if logits.ndim != 5 or logits.shape[2:] != expected:
            msg = f"Expected mask logits (1, C, {', '.join(map(str, expected))}); the model gave {logits.shape}."
            raise ModelError(msg)
        single: NDArray[np.float32] = logits[0, 0]
        if not np.isfinite(single).all():
            msg = "Expected finite logits; the model gave NaN or infinity. Its weights may be damaged: verify them."
            raise ModelError(msg)
        return single


def _averaged(volume: NDArray[np.float32], shape: Sequence[int]) -> NDArray[np.float32]:
    """Means over equal groups of voxels, so that `shape` is left; the network's stride divides its region."""
    groups = [n for side, wanted in zip(volume.shape, shape, strict=True) for n in (wanted, side // wanted)]
    return np.asarray(volume.reshape(groups).mean(axis=(1, 3, 5)), dtype=np.float32)


def check_cancelled(cancel: threading.Event | None) -> None:
    """Raise when the caller has cancelled.

    Raises:
        PredictionCancelled: `cancel` is set.
    """
    if cancel is not None and cancel.is_set():
        msg = "The prediction was cancelled; the session is as it was before. Call predict() to try again."
        raise PredictionCancelled(msg)


def _to_numpy(tensor: Any) -> NDArray[np.float32]:  # a torch tensor, or an array from another runtime
    return np.asarray(tensor.detach().float().cpu() if hasattr(tensor, "detach") else tensor, dtype=np.float32)

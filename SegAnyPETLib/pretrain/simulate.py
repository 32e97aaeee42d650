"""Batches of crops, and the clicks a person would put into them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from SegAnyPETLib.clicks.sampling import sample_first_click, sample_next_click
from SegAnyPETLib.pretrain.config import TrainingConfig
from SegAnyPETLib.pretrain.real_cases import RealCase, sample_real_crop
from SegAnyPETLib.pretrain.synthetic import Scene, sample_scene

DROP_MASK_PROMPT = 0.15  # share of later clicks answered without the earlier mask
COARSE_MASK_PROMPT = 0.2  # share of first clicks that come with a coarse mask, as after zooming in
PROMPT_LOGIT = 4.0


def sample_batch(rng: np.random.Generator, config: TrainingConfig, cases: Sequence[RealCase]) -> list[Scene]:
    """Draw the crops of one step, all real or all synthetic, all of one size."""
    if cases and rng.random() < config.real_share:
        large = rng.random() < 0.5
        size = config.large_crop_voxels if large else config.crop_voxels
        chosen = rng.integers(len(cases), size=max(1, config.batch // 2 if large else config.batch))
        return [sample_real_crop(rng, cases[n], size=size) for n in chosen]
    return [sample_scene(rng, size=config.crop_voxels) for _ in range(config.batch)]


def to_tensor(scenes: Sequence[Scene], device: torch.device) -> tuple[Tensor, Tensor]:
    """ln(1 + SUV) and target, both (B, 1, D, H, W) float32."""
    suv = torch.from_numpy(np.stack([s.suv for s in scenes]))[:, None]
    target = torch.from_numpy(np.stack([s.target for s in scenes]))[:, None].float()
    return torch.log1p(suv.clamp(0, 100)).to(device), target.to(device)


class Clicks:
    """The growing clicks of a batch: coordinates (B, N, 3) in voxels and labels (B, N), -1 where none was needed."""

    def __init__(self, rng: np.random.Generator, scenes: Sequence[Scene]) -> None:
        self._rng = rng
        self._scenes = scenes
        self._coords = [[sample_first_click(rng, s.target, s.suv)] for s in scenes]
        self._labels = [[1] for _ in scenes]

    def correct(self, predicted: NDArray[np.bool_]) -> None:
        """Add one click per crop where `predicted` (B, D, H, W) is wrong."""
        for n, scene in enumerate(self._scenes):
            click = sample_next_click(self._rng, scene.target, predicted[n])
            self._coords[n].append(click[0] if click else (0, 0, 0))
            self._labels[n].append(int(click[1]) if click else -1)

    def to_tensors(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Coordinates as float and labels, for `decode`."""
        return torch.tensor(self._coords, dtype=torch.float32, device=device), torch.tensor(self._labels, device=device)


def sample_mask_prompt(rng: np.random.Generator, scenes: Sequence[Scene], device: torch.device) -> Tensor:
    """Rough logits (B, 1, D, H, W) as a coarser resolution would have given: wrong size, blurred edge."""
    rough = []
    for scene in scenes:
        depth = ndimage.distance_transform_edt(scene.target) - ndimage.distance_transform_edt(~scene.target)
        depth = ndimage.gaussian_filter(depth, rng.uniform(0.5, 2.0)) + rng.normal(0, 1.5)
        rough.append(np.clip(depth, -1, 1) * PROMPT_LOGIT)
    return torch.from_numpy(np.stack(rough)[:, None]).float().to(device)

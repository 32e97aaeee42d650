"""Batches of crops, and the clicks a person would put into them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from SegAnyPETLib.clicks.reach import reach_of_click
from SegAnyPETLib.clicks.sampling import sample_first_click, sample_next_click
from SegAnyPETLib.model.lite import LARGEST_REACH_VOXELS
from SegAnyPETLib.pretrain.bodies.anatomy import Body
from SegAnyPETLib.pretrain.bodies.crops import sample_body_scene
from SegAnyPETLib.pretrain.config import TrainingConfig
from SegAnyPETLib.pretrain.real_cases import RealCase, sample_real_crop
from SegAnyPETLib.pretrain.scene import Scene
from SegAnyPETLib.pretrain.synthetic import sample_scene

DROP_MASK_PROMPT = 0.15  # share of later clicks answered without the earlier mask
SECOND_LOOK = 0.2  # share of answers that come back as mask prompt without a new click, as in the session
FIRST_MASK_PROMPT = 0.2  # share of first clicks that come with a mask: a coarse answer, a seed, or a box
BOX_SHARE = 0.35  # of those
PROMPT_LOGIT = 6.0  # as the session's boxes and seeds
VOXELS = (1.0, 1.0, 1.0)


def sample_batch(
    rng: np.random.Generator, config: TrainingConfig, cases: Sequence[RealCase], bodies: Sequence[Body]
) -> list[Scene]:
    """Draw the crops of one step, all real or all synthetic, all of one size."""
    if cases and rng.random() < config.real_share:
        large = rng.random() < 0.5
        size = config.large_crop_voxels if large else config.crop_voxels
        chosen = rng.integers(len(cases), size=max(1, config.batch // 2 if large else config.batch))
        return [sample_real_crop(rng, cases[n], size=size) for n in chosen]
    return [sample_synthetic(rng, config, bodies) for _ in range(config.batch)]


def sample_synthetic(rng: np.random.Generator, config: TrainingConfig, bodies: Sequence[Body]) -> Scene:
    """A crop of a whole body, or of shapes."""
    if config.body_share and rng.random() < config.body_share:
        return sample_body_scene(rng, size=config.crop_voxels, bodies=bodies)
    return sample_scene(rng, size=config.crop_voxels)


def to_tensor(scenes: Sequence[Scene], device: torch.device) -> tuple[Tensor, Tensor]:
    """ln(1 + SUV) and the target's share of each voxel, both (B, 1, D, H, W) float32."""
    suv = torch.from_numpy(np.stack([s.suv for s in scenes]))[:, None]
    fraction = torch.from_numpy(np.stack([s.fraction for s in scenes]))[:, None]
    return torch.log1p(suv.clamp(0, 100)).to(device), fraction.to(device)


Key = tuple[int, ...]  # seeds a generator
Placed = tuple[tuple[float, ...], int]  # coordinates and reach, and the label
Mapping = Callable[[Callable[[Any], Placed], Iterable[Any]], list[Placed]]  # of one function to many items


class Clicks:
    """The growing clicks of a batch.

    Coordinates and reach (B, N, 4) in voxels, and labels (B, N), -1 where none was needed.

    Args:
        key: Decides, with the place in the batch and the click's number, every random choice.
        scenes: Of the batch.
        apply: Applies a function to many items, for example in other processes.
    """

    def __init__(self, key: Key, scenes: Sequence[Scene], *, apply: Mapping) -> None:
        self._key = key
        self._scenes = scenes
        self._apply = apply
        items = [((*key, n, 0), scene) for n, scene in enumerate(scenes)]
        self._clicks = [[click] for click in apply(_first_click, items)]

    def correct(self, predicted: NDArray[np.bool_]) -> None:
        """Add one click per crop where `predicted` (B, D, H, W) is wrong."""
        number = len(self._clicks[0])
        items = [((*self._key, n, number), scene.fraction, predicted[n]) for n, scene in enumerate(self._scenes)]
        for clicks, click in zip(self._clicks, self._apply(_next_click, items), strict=True):
            clicks.append(click)

    def to_tensors(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Coordinates with reach as float and labels, for `decode`."""
        coords = [[place for place, _ in clicks] for clicks in self._clicks]
        labels = [[label for _, label in clicks] for clicks in self._clicks]
        return torch.tensor(coords, dtype=torch.float32, device=device), torch.tensor(labels, device=device)


def in_place(function: Callable[[Any], Placed], items: Iterable[Any]) -> list[Placed]:
    """`function` of each item, one after the other."""
    return [function(item) for item in items]


def _first_click(item: tuple[Key, Scene]) -> Placed:
    key, scene = item
    return (*sample_first_click(np.random.default_rng(key), scene.target, scene.suv), 0.0), 1


def _next_click(item: tuple[Key, NDArray[np.float32], NDArray[np.bool_]]) -> Placed:
    key, fraction, predicted = item
    found = sample_next_click(np.random.default_rng(key), fraction >= np.float32(0.5), predicted)
    if found is None:
        return (0.0, 0.0, 0.0, 0.0), -1
    click, is_positive = found
    reach = reach_of_click(predicted, click, spacing_kji_mm=VOXELS, limit_mm=LARGEST_REACH_VOXELS)
    return (*click, reach), int(is_positive)


def sample_mask_prompt(rng: np.random.Generator, scenes: Sequence[Scene], device: torch.device) -> Tensor:
    """Logits (B, 1, D, H, W) that come with a first click: a box's ellipsoid, or a mask of wrong size and blurred edge.

    The latter is what a coarser resolution or a seed from another source gives.
    """
    prompts = [_box_prompt(rng, s.target) if rng.random() < BOX_SHARE else _rough_prompt(rng, s.target) for s in scenes]
    return torch.from_numpy(np.stack(prompts)[:, None]).float().to(device)


def _rough_prompt(rng: np.random.Generator, target: NDArray[np.bool_]) -> NDArray[np.float64]:
    depth = ndimage.distance_transform_edt(target) - ndimage.distance_transform_edt(~target)
    depth = ndimage.gaussian_filter(depth, rng.uniform(0.5, 2.0)) + rng.normal(0, 1.5)
    return np.asarray(np.clip(depth, -1, 1) * PROMPT_LOGIT)


def _box_prompt(rng: np.random.Generator, target: NDArray[np.bool_]) -> NDArray[np.float64]:
    """As `session.prompt_clicks.box_field`: an ellipsoid in a bounding box that is up to a tenth off on each side."""
    places = np.argwhere(target)
    low, high = places.min(axis=0) - 0.5, places.max(axis=0) + 0.5
    low, high = low + rng.uniform(-0.1, 0.1, 3) * (high - low), high + rng.uniform(-0.1, 0.1, 3) * (high - low)
    axes = [
        (np.arange(n) - (a + b) / 2) / max((b - a) / 2, 0.5) for n, a, b in zip(target.shape, low, high, strict=True)
    ]
    k, j, i = np.meshgrid(*axes, indexing="ij", sparse=True)
    inside = (np.abs(k) <= 1) & (np.abs(j) <= 1) & (np.abs(i) <= 1)
    return np.where(inside, PROMPT_LOGIT * (1 - np.sqrt(k**2 + j**2 + i**2)), -PROMPT_LOGIT)

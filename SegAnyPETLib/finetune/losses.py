"""The terms of the loss, each a function of tensors alone."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

SMOOTH = 1e-5


def weighted_dice_ce(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Dice plus cross-entropy per item, with a weight for each voxel.

    With all weights 1 this is MONAI's ``DiceCELoss(sigmoid=True, squared_pred=True, reduction="none")`` averaged over
    voxels; MONAI's has no weights per voxel.

    Args:
        logits: (B, 1, D, H, W).
        target: 0 to 1, of the same shape.
        weight: At least 0, of the same shape; 1 everywhere where None. An item whose weights are all 0 has loss 0.

    Returns:
        (B,).

    Source:
        Milletari et al. 2016, V-Net, arXiv:1606.04797 (squared denominator).
    """
    weight = torch.ones_like(logits) if weight is None else weight
    probability = logits.sigmoid()
    both = (weight * probability * target).flatten(1).sum(1)
    each = (weight * (probability**2 + target**2)).flatten(1).sum(1)
    dice = 1 - (2 * both + SMOOTH) / (each + SMOOTH)
    entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    share = weight.flatten(1).sum(1) / weight[0].numel()
    return (weight * entropy).flatten(1).mean(1) + dice * (share > 0) * _confidence(weight)


def _confidence(weight: Tensor) -> Tensor:
    """The largest weight of an item, (B,): the Dice term does not shrink by itself when all weights do."""
    return weight.flatten(1).amax(1)


def consistency(logits: Tensor, ensemble_probability: Tensor) -> Tensor:
    """Mean squared difference between an answer and the ensemble's, per item (B,).

    Source:
        Tarvainen and Valpola 2017, mean teacher, arXiv:1703.01780.
    """
    return ((logits.sigmoid() - ensemble_probability) ** 2).flatten(1).mean(1)


def ramp(step: int, *, steps: int, warm_up_share: float, ramp_share: float) -> float:
    """How far repairs are believed: 0 in the warm-up, then exp(-5 (1 - t)^2) from e^-5 to 1.

    Source:
        Laine and Aila 2017, temporal ensembling, arXiv:1610.02242.
    """
    start, length = warm_up_share * steps, ramp_share * steps
    if step < start:
        return 0.0
    t = min(1.0, (step - start) / length) if length > 0 else 1.0
    return math.exp(-5 * (1 - t) ** 2)

"""SegAnyPET's network behind the calls of the training loop, which speaks of crops and their voxels.

The published network wants other axes and gives coarser masks. The names of its weights stay, so a
checkpoint, a file of changes or an exported model is that of the network itself.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from SegAnyPETLib.model.promptable_vit import PromptableViT

MASK_VOXELS_PER_CELL = 4  # along each axis; a cell is what one token stands for


class TrainableViT(PromptableViT):
    """The same network for crops (K, J, I) along +z, +y, +x in LPS, with sides of `image_size` voxels (of 1.5 mm).

    A click's reach is not used; without an earlier answer the mask prompt is zeros, as in the published training (Zhang
    et al. 2025, arXiv:2502.14351). An earlier answer is brought back to the coarse grid by linear interpolation, which
    blurs it a little: the network itself would be given what it gave.
    """

    def encode(self, volume: Tensor) -> Tensor:
        """Embed crops (B, 1, D, H, W), normalized as the network is given regions in a session (`crops.to_volumes`).

        Raises:
            GeometryError: A crop has another size.
        """
        return super().encode(to_ras(volume))

    def decode(
        self, embedding: Tensor, *, points: tuple[Tensor, Tensor] | None = None, mask_logits: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Logits (B, 1, D, H, W) of the single mask on the crop's voxels, and its predicted quality (B, 1).

        Args:
            embedding: From `encode`.
            points: Coordinates (B, N, 3 or 4) in voxels of the crop, and labels (B, N).
            mask_logits: An earlier answer, (B, 1, D, H, W).
        """
        size = self.image_encoder.config.image_size
        coarse = MASK_VOXELS_PER_CELL * self.image_encoder.config.grid
        if points is not None:
            points = points_to_ras(points[0][..., :3], size=size), points[1]
        if mask_logits is None:
            before = embedding.new_zeros(len(embedding), 1, coarse, coarse, coarse)
        else:
            before = functional.interpolate(to_ras(mask_logits), size=(coarse,) * 3, mode="trilinear")
        logits, quality = super().decode(embedding, points=points, mask_logits=before)
        fine = functional.interpolate(logits[:, :1].float(), size=(size,) * 3, mode="trilinear")
        return to_lps(fine), quality[:, :1]


def trainable_copy(network: nn.Module) -> nn.Module:
    """A copy of a network, with the same names of weights, that the training loop can teach."""
    if not isinstance(network, PromptableViT):
        return copy.deepcopy(network)
    trainable = TrainableViT(network.image_encoder.config)
    trainable.load_state_dict(network.state_dict())
    return trainable.to(next(network.parameters()).device).train(network.training)


def to_ras(volume: Tensor) -> Tensor:
    """From (B, C, K, J, I) along +z, +y, +x in LPS to axes along +x, +y, +z in RAS."""
    return volume.transpose(2, 4).flip(2, 3)


def to_lps(volume: Tensor) -> Tensor:
    """Back from `to_ras`."""
    return volume.flip(2, 3).transpose(2, 4)


def points_to_ras(coordinates: Tensor, *, size: int) -> Tensor:
    """What `to_ras` does to the voxels of a cube, for points (B, N, 3)."""
    k, j, i = coordinates.unbind(-1)
    return torch.stack([size - 1 - i, size - 1 - j, k], dim=-1)

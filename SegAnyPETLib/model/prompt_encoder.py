"""Turns clicks and an earlier mask into the embeddings the mask decoder reads."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from SegAnyPETLib.model.blocks import LayerNorm3d
from SegAnyPETLib.model.position_encoding import FourierEncoding


class PromptEncoder(nn.Module):
    """Points become tokens (sparse), a mask becomes a volume added to the image embedding (dense).

    The published configuration knows no box prompt.

    Args:
        width: Channels of the image embedding, a multiple of three.
        image_size: Voxels along each axis of the volume the points refer to.
        grid: Cells along each axis of the image embedding.

    Source:
        Kirillov et al. 2023 (Segment Anything); Wang et al. 2023 (SAM-Med3D, arXiv:2310.15161).
    """

    def __init__(self, width: int, *, image_size: int, grid: int) -> None:
        super().__init__()
        self.width, self.image_size, self.grid = width, image_size, grid
        self.pe_layer = FourierEncoding(width // 3)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, width) for _ in ("negative", "positive"))
        self.not_a_point_embed = nn.Embedding(1, width)
        self.mask_downscaling = nn.Sequential(
            nn.Conv3d(1, 4, kernel_size=2, stride=2),
            LayerNorm3d(4),
            nn.GELU(),
            nn.Conv3d(4, 16, kernel_size=2, stride=2),
            LayerNorm3d(16),
            nn.GELU(),
            nn.Conv3d(16, width, kernel_size=1),
        )
        self.no_mask_embed = nn.Embedding(1, width)
        # Kept, since it changes with the weights only; a buffer, so that it follows the network to its device.
        self.register_buffer("dense_pe", self.pe_layer.encode_grid(grid), persistent=False)
        self.register_load_state_dict_post_hook(_refresh_dense_pe)  # type: ignore[no-untyped-call]  # torch has no types here

    dense_pe: Tensor

    def encode_points(self, coordinates: Tensor, labels: Tensor) -> Tensor:
        """Tokens of a set of points, and one token that says that there is no box.

        Args:
            coordinates: (P, N, 3) voxels along the volume's three axes; the voxel's centre is half a voxel further.
            labels: (P, N): 1 positive, 0 negative, -1 not a point.

        Returns:
            (P, N + 1, width).
        """
        encoding = self.pe_layer((coordinates + 0.5) / self.image_size)
        kind = labels.unsqueeze(-1)
        absent = self.not_a_point_embed.weight
        encoding = torch.where(kind == -1, absent, encoding)
        for label in (0, 1):
            own = self.point_embeddings.get_parameter(f"{label}.weight")
            encoding = torch.where(kind == label, encoding + own, encoding)
        return torch.cat([encoding, absent.expand(len(encoding), 1, -1)], dim=1)

    def forward(
        self, points: tuple[Tensor, Tensor] | None, mask_logits: Tensor | None, *, prompts: int
    ) -> tuple[Tensor, Tensor]:
        """Embed one set of prompts for each of `prompts` masks to be predicted.

        Args:
            points: Coordinates (P, N, 3) and labels (P, N), or None.
            mask_logits: Logits of the earlier mask (P, 1, 4 G, 4 G, 4 G), or None, which is not the same as zeros.
            prompts: P.

        Returns:
            Sparse embedding (P, N + 1, width), N + 1 = 0 without points, and dense embedding (P, width, G, G, G).
        """
        if points is None:
            sparse = self.no_mask_embed.weight.new_zeros(prompts, 0, self.width)
        else:
            sparse = self.encode_points(*points)
        if mask_logits is None:
            shape = (prompts, -1, self.grid, self.grid, self.grid)
            dense = self.no_mask_embed.weight.reshape(1, -1, 1, 1, 1).expand(shape)
        else:
            dense = self.mask_downscaling(mask_logits)
        return sparse, dense


def _refresh_dense_pe(module: nn.Module, _keys: object) -> None:
    if isinstance(module, PromptEncoder):
        module.dense_pe = module.pe_layer.encode_grid(module.grid)

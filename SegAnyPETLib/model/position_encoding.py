"""Positions in the image as random Fourier features, shared by points and by the image grid."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class FourierEncoding(nn.Module):
    """Sines and cosines of random projections of a position.

    For u in [0, 1]^3 and the stored matrix G (3, F): a = 2 pi (2 u - 1) G and the encoding is [sin a, cos a, sin a].
    The third part repeats the first; the published network was trained so.

    Source:
        Tancik et al. 2020 (Fourier features); Kirillov et al. 2023 (Segment Anything); Wang et al. 2023 (SAM-Med3D,
        arXiv:2310.15161) for three axes.
    """

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(3, features))

    def forward(self, positions: Tensor) -> Tensor:
        """Encode positions (..., 3) in [0, 1] as (..., 3 F)."""
        angle = 2 * math.pi * ((2 * positions - 1) @ self.positional_encoding_gaussian_matrix)
        sine = torch.sin(angle)
        return torch.cat([sine, torch.cos(angle), sine], dim=-1)

    def encode_grid(self, size: int) -> Tensor:
        """Encode the cell centres of a cubic grid as (1, 3 F, size, size, size).

        Cell (i, j, k) is given the position of (j, i, k): the published network has its first two axes exchanged
        here, and only here, so that points and grid disagree. Weights trained with it need it.
        """
        centre = (torch.arange(size, device=self.positional_encoding_gaussian_matrix.device) + 0.5) / size
        first, second, third = torch.meshgrid(centre, centre, centre, indexing="ij")
        encoding: Tensor = self(torch.stack([second, first, third], dim=-1))
        return encoding.permute(3, 0, 1, 2).unsqueeze(0).contiguous()

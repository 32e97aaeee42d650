"""Small building blocks shared by the encoder, the prompt encoder and the mask decoder."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional


class LayerNorm3d(nn.Module):
    """Layer normalization over the channels of every voxel of a channels-first tensor.

    Biased variance; epsilon 1e-6 as in the published configuration (`nn.LayerNorm` has 1e-5).
    """

    def __init__(self, channels: int, *, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, volume: Tensor) -> Tensor:
        """Normalize (B, C, D, H, W) over C."""
        channels_last = volume.movedim(1, -1)
        normal = functional.layer_norm(channels_last, self.weight.shape, self.weight, self.bias, self.eps)
        return normal.movedim(-1, 1)


class FeedForward(nn.Module):
    """Two linear layers with an activation between them; parameters are named `lin1` and `lin2`."""

    def __init__(self, width: int, hidden: int, *, activation: type[nn.Module]) -> None:
        super().__init__()
        self.lin1 = nn.Linear(width, hidden)
        self.lin2 = nn.Linear(hidden, width)
        self.act = activation()

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (..., width) to (..., width)."""
        out: Tensor = self.lin2(self.act(self.lin1(tokens)))
        return out


class LinearStack(nn.Module):
    """Linear layers with ReLU between them and none after the last; parameters are named `layers.0`, `layers.1`, ..."""

    def __init__(self, *widths: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(widths))

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (..., first width) to (..., last width)."""
        for layer in self.layers[:-1]:
            tokens = functional.relu(layer(tokens))
        out: Tensor = self.layers[-1](tokens)
        return out

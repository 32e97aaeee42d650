"""The image encoder of the `vit_b_ori` configuration: a plain vision transformer over 16^3 patches."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from SegAnyPETLib.errors import GeometryError
from SegAnyPETLib.model.blocks import FeedForward, LayerNorm3d
from SegAnyPETLib.model.vit_attention import VolumeAttention


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """Sizes of the image encoder; the defaults are the published `vit_b_ori`.

    Attributes:
        image_size: Voxels along each axis of the (cubic) input.
        patch_size: Voxels along each axis of a patch.
        width: Channels of a token.
        depth: Transformer blocks.
        heads: Attention heads.
        window: Edge of the attention window in tokens; larger than the token grid in the published network.
        global_blocks: Indices of the blocks that attend without window.
        out_channels: Channels of the embedding.
    """

    image_size: int = 128
    patch_size: int = 16
    width: int = 768
    depth: int = 12
    heads: int = 12
    window: int = 14
    global_blocks: tuple[int, ...] = (2, 5, 8, 11)
    out_channels: int = 384

    @property
    def grid(self) -> int:
        """Tokens along each axis."""
        return self.image_size // self.patch_size


class PatchEmbedding(nn.Module):
    """Cuts the volume into patches and maps each to a token."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.proj = nn.Conv3d(1, config.width, kernel_size=config.patch_size, stride=config.patch_size)

    def forward(self, volume: Tensor) -> Tensor:
        """Map (B, 1, D, H, W) to (B, D / p, H / p, W / p, width)."""
        tokens: Tensor = self.proj(volume)
        return tokens.movedim(1, -1)


class EncoderBlock(nn.Module):
    """Attention and feed-forward layer, each normalized before and added to its input."""

    def __init__(self, config: EncoderConfig, *, window: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width, eps=1e-6)
        self.attn = VolumeAttention(config.width, heads=config.heads, grid=config.grid, window=window)
        self.norm2 = nn.LayerNorm(config.width, eps=1e-6)
        self.mlp = FeedForward(config.width, 4 * config.width, activation=nn.GELU)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (B, G, G, G, width) to the same shape."""
        tokens = tokens + self.attn(self.norm1(tokens))
        out: Tensor = tokens + self.mlp(self.norm2(tokens))
        return out


class ImageEncoder(nn.Module):
    """Vision transformer with learned absolute and relative positions.

    Source:
        Wang et al. 2023 (SAM-Med3D, arXiv:2310.15161); Zhang et al. 2025 (SegAnyPET, arXiv:2502.14351) for the weights.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_embed = PatchEmbedding(config)
        self.pos_embed = nn.Parameter(torch.zeros(1, config.grid, config.grid, config.grid, config.width))
        self.blocks = nn.ModuleList(
            EncoderBlock(config, window=config.grid if index in config.global_blocks else config.window)
            for index in range(config.depth)
        )
        self.neck = nn.Sequential(
            nn.Conv3d(config.width, config.out_channels, kernel_size=1, bias=False),
            LayerNorm3d(config.out_channels),
            nn.Conv3d(config.out_channels, config.out_channels, kernel_size=3, padding=1, bias=False),
            LayerNorm3d(config.out_channels),
        )

    def forward(self, volume: Tensor) -> Tensor:
        """Embed a volume.

        Args:
            volume: (B, 1, S, S, S) with S the image size, normalized as the weights expect.

        Returns:
            (B, out_channels, G, G, G) with G = S / patch size.

        Raises:
            GeometryError: The volume has another shape.
        """
        self.require_shape(volume)
        tokens = self.patch_embed(volume) + self.pos_embed
        for block in self.blocks:
            tokens = block(tokens)
        embedding: Tensor = self.neck(tokens.movedim(-1, 1))
        return embedding

    def require_shape(self, volume: Tensor) -> None:
        """Raise GeometryError unless the volume is (B, 1, S, S, S)."""
        size = self.config.image_size
        if volume.ndim != 5 or tuple(volume.shape[1:]) != (1, size, size, size):
            message = f"Expected a volume of shape (B, 1, {size}, {size}, {size}), found {tuple(volume.shape)}."
            raise GeometryError(message)

"""`lite`: the compact promptable network that is bundled, so that nothing has to be downloaded.

A U-shaped encoder sees the crop once; a small U-shaped decoder is conditioned on the clicks and runs once
per click. Both work at half the crop's resolution, only the last two convolutions at full resolution. The
decoder is told what PET tells a reader: how far each voxel is from the nearest click, how much hotter or
colder it is than the tissue under that click, and how far each click reaches. A correcting click goes into
the middle of what is wrong, so all within its distance to the border of the mask it corrects is wrong too.

Tensors are (B, C, D, H, W). The input is ln(1 + SUV). Any crop with sides divisible by 16 works.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

CHANNELS = (24, 48, 96, 128)  # at 1/2, 1/4, 1/8, 1/16 of the crop's resolution
HEAD_CHANNELS = 8
PROMPT_CHANNELS = 12
CLICK_SIGMA_VOXELS = 2.0
FAR_VOXELS = 16.0  # beyond this, all voxels are equally far from a click
LARGEST_REACH_VOXELS = 8.0  # a click that says it reaches further is taken to reach this far
HAS_ONEDNN: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]  # torch ships it untyped
CLICK_TISSUE_VOXELS = 1  # the click's own intensity is the mean of the cube this many voxels around it


class LiteEmbedding(NamedTuple):
    """What `encode` keeps for the decoder.

    Attributes:
        volume: The input, ln(1 + SUV), (B, 1, D, H, W).
        features: Image features at 1/2, 1/4, 1/8 and 1/16 of the resolution.
    """

    volume: Tensor
    features: tuple[Tensor, Tensor, Tensor, Tensor]

    def repeat(self, batch: int) -> LiteEmbedding:
        """The same image for `batch` prompt sets (views, no copy); needs a batch of one."""
        return LiteEmbedding(
            self.volume.expand(batch, -1, -1, -1, -1),
            tuple(f.expand(batch, -1, -1, -1, -1) for f in self.features),  # type: ignore[arg-type]  # four stay four
        )


class Conv3d(nn.Conv3d):
    """A convolution that uses oneDNN wherever it can.

    torch 2.13 leaves small float32 inputs of a batch of one to a plain loop (48 channels of 16 x 16 x 16: 15 ms
    against 5 ms on one AMD EPYC core); its rule looks at the size of the input, not at the work.
    """

    def forward(self, x: Tensor) -> Tensor:
        """The convolved (B, C, D, H, W)."""
        learning = torch.is_grad_enabled() or torch.is_autocast_enabled("cpu")
        if learning or not HAS_ONEDNN or x.device.type != "cpu" or x.dtype != torch.float32:
            return super().forward(x)
        padding = [int(n) for n in self.padding]  # `same` and `valid` are not used here
        return torch.mkldnn_convolution(x, self.weight, self.bias, padding, self.stride, self.dilation, self.groups)


class ConvBlock(nn.Sequential):
    """Convolution, group normalization, leaky ReLU."""

    def __init__(self, channels_in: int, channels_out: int, *, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            Conv3d(channels_in, channels_out, kernel, stride, (kernel - 1) // 2, bias=False),
            nn.GroupNorm(8, channels_out),
            nn.LeakyReLU(0.01, inplace=True),
        )


class ResidualBlock(nn.Module):
    """Two convolutions around an identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvBlock(channels, channels)
        self.second = nn.Sequential(Conv3d(channels, channels, 3, 1, 1, bias=False), nn.GroupNorm(8, channels))

    def forward(self, x: Tensor) -> Tensor:
        """The block's output, shaped as `x`."""
        return functional.leaky_relu(x + self.second(self.first(x)), 0.01)


class ImageEncoder(nn.Module):
    """Image features at four resolutions, each seen by the coarser ones too."""

    def __init__(self) -> None:
        super().__init__()
        c1, c2, c3, c4 = CHANNELS
        self.stem = ConvBlock(3, c1, kernel=4, stride=2)
        self.level1 = ResidualBlock(c1)
        self.level2 = nn.Sequential(ConvBlock(c1, c2, kernel=2, stride=2), ResidualBlock(c2))
        self.level3 = nn.Sequential(ConvBlock(c2, c3, kernel=2, stride=2), ResidualBlock(c3))
        self.level4 = nn.Sequential(ConvBlock(c3, c4, kernel=2, stride=2), ResidualBlock(c4))

    def forward(self, volume: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Features (B, CHANNELS[n], ...) of ln(1 + SUV) (B, 1, D, H, W)."""
        mean = volume.mean(dim=(2, 3, 4), keepdim=True)
        std = volume.std(dim=(2, 3, 4), keepdim=True) + 1e-3
        local = functional.avg_pool3d(volume, 5, 1, 2, count_include_pad=False)
        x = torch.cat([volume, (volume - mean) / std, volume - local], dim=1)  # (B, 3, D, H, W)
        f1 = self.level1(self.stem(x))
        f2 = self.level2(f1)
        f3 = self.level3(f2)
        return f1, f2, f3, self.level4(f3)


class PromptedDecoder(nn.Module):
    """From image features and prompt maps to mask logits and the Dice it expects of them."""

    def __init__(self) -> None:
        super().__init__()
        c1, c2, c3, c4 = CHANNELS
        self.fuse1 = nn.Sequential(ConvBlock(c1 + PROMPT_CHANNELS, c1), ConvBlock(c1, c1))
        self.down2, self.down3, self.down4 = (
            ConvBlock(a, b, kernel=2, stride=2) for a, b in ((c1, c2), (c2, c3), (c3, c4))
        )
        self.fuse2, self.fuse3, self.fuse4 = (nn.Sequential(ConvBlock(2 * c, c), ConvBlock(c, c)) for c in (c2, c3, c4))
        self.up3, self.up2, self.up1 = (nn.ConvTranspose3d(a, b, 2, 2) for a, b in ((c4, c3), (c3, c2), (c2, c1)))
        self.merge3, self.merge2, self.merge1 = (ConvBlock(2 * c, c) for c in (c3, c2, c1))
        self.up0 = nn.ConvTranspose3d(c1, HEAD_CHANNELS, 2, 2)
        self.head = nn.Sequential(
            Conv3d(HEAD_CHANNELS + 3, HEAD_CHANNELS, 3, 1, 1), nn.LeakyReLU(0.01), Conv3d(HEAD_CHANNELS, 1, 1)
        )
        self.quality = nn.Sequential(nn.Linear(c4 + c1, 64), nn.LeakyReLU(0.01), nn.Linear(64, 1))

    def forward(self, embedding: LiteEmbedding, prompts: Tensor, full: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, 1, D, H, W) and expected Dice (B, 1) from prompt maps at half and full resolution."""
        f1, f2, f3, f4 = embedding.features
        x1 = self.fuse1(_joined(f1, prompts))
        x2 = self.fuse2(torch.cat([f2, self.down2(x1)], dim=1))
        x3 = self.fuse3(torch.cat([f3, self.down3(x2)], dim=1))
        x4 = self.fuse4(torch.cat([f4, self.down4(x3)], dim=1))
        y3 = self.merge3(torch.cat([x3, self.up3(x4)], dim=1))
        y2 = self.merge2(torch.cat([x2, self.up2(y3)], dim=1))
        y1 = self.merge1(torch.cat([x1, self.up1(y2)], dim=1))
        logits = self.head(_joined(self.up0(y1), full))
        pooled = torch.cat([x4.amax(dim=(2, 3, 4)), y1.mean(dim=(2, 3, 4))], dim=1)
        return logits, self.quality(pooled).sigmoid()


class LiteNetwork(nn.Module):
    """The bundled network; see the module's text."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = ImageEncoder()
        self.decoder = PromptedDecoder()
        # Channels last: a click costs a quarter less (64 voxels a side, 2 AMD EPYC cores), a training step a third.
        self.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # missing in torch's own types

    def encode(self, volume: Tensor) -> LiteEmbedding:
        """Features of a crop.

        Args:
            volume: ln(1 + SUV), (B, 1, D, H, W), sides divisible by 16.
        """
        volume = volume.contiguous(memory_format=torch.channels_last_3d)
        return LiteEmbedding(volume, self.encoder(volume))

    def decode(
        self,
        embedding: LiteEmbedding,
        *,
        points: tuple[Tensor, Tensor] | None = None,
        mask_logits: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Mask logits for one set of prompts.

        Args:
            embedding: From `encode`; a batch of one is repeated for several prompt sets.
            points: Coordinates (B, N, 3) as voxel indices along D, H, W, or (B, N, 4) with each point's reach in
                voxels (0: not known), and labels (B, N): 1 positive, 0 negative, -1 ignored.
            mask_logits: An earlier answer (B, 1, D, H, W), or None.

        Returns:
            Logits (B, 1, D, H, W), and the Dice the network expects of its mask (B, 1), 0 to 1.
        """
        batch = max(points[0].shape[0] if points else 1, mask_logits.shape[0] if mask_logits is not None else 1)
        if embedding.volume.shape[0] != batch:
            embedding = embedding.repeat(batch)
        volume = embedding.volume
        if points is None:
            points = volume.new_zeros(batch, 0, 3), volume.new_zeros(batch, 0)
        full, prompts = _prompt_maps(volume, *points, mask_logits)
        logits, quality = self.decoder(embedding, prompts, full)
        return logits, quality

    def forward(self, volume: Tensor, points: tuple[Tensor, Tensor], mask_logits: Tensor | None) -> Tensor:
        """Encode and decode in one call; returns the logits."""
        return self.decode(self.encode(volume), points=points, mask_logits=mask_logits)[0]


def _joined(features: Tensor, maps: Tensor) -> Tensor:
    """Channels of both, channels last as the convolutions want them: `cat` keeps that only where both are."""
    return torch.cat([features, maps.contiguous(memory_format=torch.channels_last_3d)], dim=1)


def _prompt_maps(volume: Tensor, coords: Tensor, labels: Tensor, mask_logits: Tensor | None) -> tuple[Tensor, Tensor]:
    """Maps of the prompts at full (B, 3, ...) and half resolution (B, PROMPT_CHANNELS, ...)."""
    half = functional.avg_pool3d(volume, 2)
    coords, reach = coords[..., :3], coords[..., 3:].sum(dim=2).clamp(0, LARGEST_REACH_VOXELS)  # (B, N, 3), (B, N)
    tissue = _click_tissue(volume, coords)  # (B, N)
    near, tissue_map = [], []
    for wanted in (1, 0):
        distance, nearest, depth = _nearest_click(half, coords, reach, labels == wanted)
        near += [torch.exp(-0.5 * (distance / CLICK_SIGMA_VOXELS) ** 2), 1 - distance / FAR_VOXELS]
        near.append(depth / LARGEST_REACH_VOXELS)
        present = (labels == wanted).any(dim=1)[:, None, None, None, None].to(volume)
        value = torch.gather(tissue, 1, nearest.flatten(1)).view_as(half) if coords.shape[1] else torch.zeros_like(half)
        tissue_map.append((value, present))
    (positive, has_positive), (negative, has_negative) = tissue_map
    if mask_logits is None:
        previous, has_mask = torch.zeros_like(volume), torch.zeros_like(half)
    else:
        previous, has_mask = mask_logits.sigmoid(), torch.ones_like(half)
    warmth = (half - positive) * has_positive
    contrast = (half - negative) * has_negative
    prompts = torch.cat(
        [*near, warmth, contrast, has_negative.expand_as(half), functional.avg_pool3d(previous, 2), has_mask, half],
        dim=1,
    )
    upsampled = functional.interpolate(positive, scale_factor=2, mode="nearest")
    full = torch.cat([volume, (volume - upsampled) * has_positive, previous], dim=1)
    return full, prompts


def _click_tissue(volume: Tensor, coords: Tensor) -> Tensor:
    """Mean of ln(1 + SUV) in the small cube around each click, (B, N)."""
    if coords.shape[1] == 0:
        return volume.new_zeros(volume.shape[0], 0)
    smooth = functional.avg_pool3d(
        volume, 2 * CLICK_TISSUE_VOXELS + 1, 1, CLICK_TISSUE_VOXELS, count_include_pad=False
    ).flatten(1)
    _, _, depth, height, width = volume.shape
    limits = coords.new_tensor([depth - 1, height - 1, width - 1])
    index = coords.round().clamp(min=coords.new_zeros(3), max=limits).long()
    flat = (index[..., 0] * height + index[..., 1]) * width + index[..., 2]
    return torch.gather(smooth, 1, flat)


def _nearest_click(half: Tensor, coords: Tensor, reach: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The nearest chosen click, seen from every voxel of `half`.

    Returns:
        Distance in full-resolution voxels (B, 1, ...), capped; index of the click (B, ...); and how deep the voxel lies
        inside the reach of any chosen click (B, 1, ...), negative outside, capped to the largest reach both ways.
    """
    batch, _, *shape = half.shape
    if coords.shape[1] == 0:
        nobody = torch.zeros(batch, *shape, dtype=torch.long, device=half.device)
        return half.new_full(half.shape, FAR_VOXELS), nobody, half.new_full(half.shape, -LARGEST_REACH_VOXELS)
    axes = [torch.arange(n, device=half.device, dtype=half.dtype) * 2 + 0.5 for n in shape]
    squared = half.new_zeros(batch, coords.shape[1], *shape)
    for axis, positions in enumerate(axes):
        view = [1, 1, 1, 1, 1]
        view[axis + 2] = -1
        squared = squared + (positions.view(view) - coords[..., axis][:, :, None, None, None]) ** 2
    distance = squared.sqrt().masked_fill(~chosen[:, :, None, None, None], torch.inf)
    best, index = distance.min(dim=1, keepdim=True)
    depth = (reach[:, :, None, None, None] - distance).amax(dim=1, keepdim=True)
    return best.clamp(max=FAR_VOXELS), index[:, 0], depth.clamp(-LARGEST_REACH_VOXELS, LARGEST_REACH_VOXELS)

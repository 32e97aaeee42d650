"""A promptable network small enough to be trained hundreds of times on a processor: a U-Net of three levels.

It takes the same calls as `SegAnyPETLib.model.lite.LiteNetwork`, so the training loop is the product's own.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

CHANNELS = (8, 16, 32)
CLICK_SIGMA_VOXELS = 1.5


class Block(nn.Sequential):
    def __init__(self, channels_in, channels_out):
        super().__init__(
            nn.Conv3d(channels_in, channels_out, 3, 1, 1, bias=False),
            nn.GroupNorm(4, channels_out),
            nn.LeakyReLU(0.01, inplace=True),
            nn.Conv3d(channels_out, channels_out, 3, 1, 1, bias=False),
            nn.GroupNorm(4, channels_out),
            nn.LeakyReLU(0.01, inplace=True),
        )


class TinyNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        c1, c2, c3 = CHANNELS
        self.in1, self.in2, self.in3 = Block(6, c1), Block(c1, c2), Block(c2, c3)
        self.up2, self.up1 = nn.ConvTranspose3d(c3, c2, 2, 2), nn.ConvTranspose3d(c2, c1, 2, 2)
        self.out2, self.out1 = Block(2 * c2, c2), Block(2 * c1, c1)
        self.head = nn.Conv3d(c1, 1, 1)

    def encode(self, volume):
        return volume

    def decode(self, embedding, *, points=None, mask_logits=None):
        volume = embedding
        coords, labels = points
        maps = [click_map(volume, coords[..., :3], labels == wanted) for wanted in (1, 0)]
        tissue = click_tissue(volume, coords[:, 0, :3])
        previous = torch.zeros_like(volume) if mask_logits is None else mask_logits.sigmoid()
        has_mask = torch.full_like(volume, float(mask_logits is not None))
        x1 = self.in1(torch.cat([volume, volume - tissue, *maps, previous, has_mask], dim=1))
        x2 = self.in2(functional.max_pool3d(x1, 2))
        x3 = self.in3(functional.max_pool3d(x2, 2))
        y2 = self.out2(torch.cat([x2, self.up2(x3)], dim=1))
        y1 = self.out1(torch.cat([x1, self.up1(y2)], dim=1))
        return self.head(y1), None


def click_map(volume, coords, chosen):
    """The highest of Gaussians around the chosen clicks, (B, 1, D, H, W)."""
    axes = torch.meshgrid(*[torch.arange(n, dtype=volume.dtype) for n in volume.shape[2:]], indexing="ij")
    index = torch.stack(axes, dim=-1)
    squared = ((index[None, None] - coords[:, :, None, None, None, :]) ** 2).sum(-1)
    gauss = torch.exp(-squared / (2 * CLICK_SIGMA_VOXELS**2)) * chosen[:, :, None, None, None]
    return gauss.amax(dim=1, keepdim=True)


def click_tissue(volume, coords):
    """The value under the first click, (B, 1, 1, 1, 1)."""
    index = coords.round().long()
    item = torch.arange(len(volume))
    return volume[item, 0, index[:, 0], index[:, 1], index[:, 2]].view(-1, 1, 1, 1, 1)

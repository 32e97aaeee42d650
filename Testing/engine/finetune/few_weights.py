"""A network of a few weights and bright balls to learn, for tests of what surrounds the loop and their children."""

import numpy as np
import torch
from torch import nn

from SegAnyPETLib.finetune.config import CPCLConfig, FineTuneConfig
from SegAnyPETLib.finetune.crops import LabelledCrop

CPU = torch.device("cpu")


class FewWeightsNetwork(nn.Module):
    """Logits from intensity and the nearness of the clicks; forgets to fit more than `room` crops in memory."""

    def __init__(self, room=1000):
        super().__init__()
        self.room = room
        self.mix = nn.Conv3d(3, 1, 3, padding=1)
        generator = torch.Generator().manual_seed(3)
        nn.init.normal_(self.mix.weight, std=0.1, generator=generator)
        nn.init.zeros_(self.mix.bias)

    def encode(self, volume):
        if len(volume) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return volume

    def decode(self, embedding, *, points, mask_logits):
        coords, labels = points
        axes = torch.meshgrid(*[torch.arange(n, dtype=torch.float32) for n in embedding.shape[2:]], indexing="ij")
        index = torch.stack(axes, dim=-1)
        squared = ((index[None, None] - coords[:, :, None, None, None, :3]) ** 2).sum(-1)
        near = (torch.exp(-squared / 20) * (labels == 1)[:, :, None, None, None]).amax(1, keepdim=True)
        previous = torch.zeros_like(embedding) if mask_logits is None else mask_logits.sigmoid()
        return self.mix(torch.cat([embedding, near, previous], dim=1)), None


class BrightBalls:
    """The careless labels are too large."""

    def _crop(self, rng, extra):
        k, j, i = np.ogrid[:8, :9, :10]
        centre = np.array([3.5, 4.0, 4.5]) + rng.uniform(-1, 1, 3)
        away = np.sqrt((k - centre[0]) ** 2 + (j - centre[1]) ** 2 + (i - centre[2]) ** 2)
        suv = np.where(away <= 2, 6.0, 1.0) + rng.normal(0, 0.2, away.shape)
        return LabelledCrop(suv.astype(np.float32), away <= 2 + extra, 4.0, int(rng.integers(4)))

    def careful(self, rng, count):
        return [self._crop(rng, 0.0) for _ in range(count)]

    def careless(self, rng, count):
        return [self._crop(rng, 1.2) for _ in range(count)]


def small_run(**changes):
    values = {"steps": 8, "batch": 4, "learning_rate": 1e-2, "warm_up_steps": 1, "max_clicks": 2}
    values["cpcl"] = CPCLConfig(fewest_cases=2, least_overlap=0.0)  # so few weights find next to nothing at first
    return FineTuneConfig(**{**values, **changes})


def score_of_bias(weights):
    """Some validation."""
    return -float((weights["mix.bias"] - 0.01).abs().sum())

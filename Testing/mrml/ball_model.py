"""A model whose answer is known in closed form: the union of balls around positive points, less those of negative ones.

It speaks the interface of a network, so that the real session with its real preprocessing is tested.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch


class BallModel:
    """Balls of `radius_mm` around the points, on an isotropic grid."""

    def __init__(self, *, radius_mm=12.0, spacing_mm=2.0, size=32):
        self.radius_voxels = radius_mm / spacing_mm
        self.encoded = 0
        preprocessing = SimpleNamespace(
            roi_shape=(size,) * 3,
            spacings_mm=(spacing_mm,),
            tensor_axes="kji_lps",
            normalization="log_suv",
            mask_prompt_first="zeros",
            points="accumulate",
            mask_stride=1,
            mask_shape=(size,) * 3,
        )
        self.spec = SimpleNamespace(name="balls", preprocessing=preprocessing)
        self.device = "cpu"

    def encode(self, volume):
        self.encoded += 1
        return volume

    def decode(self, embedding, *, points=None, mask_logits=None):
        shape = embedding.shape[-3:]
        axes = torch.meshgrid(*[torch.arange(n, dtype=torch.float32) for n in shape], indexing="ij")
        index = torch.stack(axes, dim=-1)
        logits = torch.full(shape, -10.0)
        coords, labels = points
        for sign, label in ((1.0, 1), (-1.0, 0)):
            for centre in coords[0][labels[0] == label].float():
                ball = self.radius_voxels - torch.linalg.vector_norm(index - centre, dim=-1)
                logits = torch.maximum(logits, 4 * ball) if sign > 0 else torch.minimum(logits, -4 * ball)
        return logits[None, None].clamp(-10, 10), torch.ones(1, 1)

"""A model whose answer is known: a ball of 14 mm around each positive click."""

from __future__ import annotations

from types import SimpleNamespace

BALL_MM = 14.0
PREPROCESSING = SimpleNamespace(
    roi_shape=(32, 32, 32),
    spacings_mm=(4.0,),
    tensor_axes="kji_lps",
    normalization="log_suv",
    mask_prompt_first="none",
    points="accumulate",
    mask_stride=1,
    mask_shape=(32, 32, 32),
    first_looks=1,
)


class BallModel:
    """Answers with balls of 14 mm around the positive clicks, less those around the negative ones."""

    spec = SimpleNamespace(name="ball", preprocessing=PREPROCESSING)
    weights_path = None

    def encode(self, volume):
        return volume

    def decode(self, embedding, *, points=None, mask_logits=None):
        import torch

        coordinates, labels = points
        axes = torch.meshgrid(*[torch.arange(32.0)] * 3, indexing="ij")
        logits = torch.full((32, 32, 32), -6.0)
        for position, label in zip(coordinates[0], labels[0], strict=True):
            distance = torch.sqrt(sum((axis - at) ** 2 for axis, at in zip(axes, position, strict=True)))
            ball = BALL_MM / 4.0 - distance
            logits = torch.maximum(logits, ball) if label == 1 else torch.minimum(logits, -ball)
        return logits[None, None], torch.ones(1, 1)

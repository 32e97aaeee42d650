"""A "network" of a few rules, so that the session is tested without weights and its answers can be foreseen."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class RulePreprocessing:
    roi_shape: tuple[int, int, int] = (32, 32, 32)
    spacings_mm: tuple[float, ...] = (4.0,)
    tensor_axes: str = "kji_lps"
    normalization: str = "log_suv"
    mask_prompt_first: str = "none"
    points: str = "accumulate"
    mask_stride: int = 1
    first_looks: int = 1

    @property
    def mask_shape(self) -> tuple[int, int, int]:
        depth, height, width = (n // self.mask_stride for n in self.roi_shape)
        return depth, height, width


@dataclass(frozen=True)
class RuleSpec:
    preprocessing: RulePreprocessing = field(default_factory=RulePreprocessing)


class RuleModel:
    """Everything above SUV 5 is object; a negative click clears its surroundings; earlier logits count a little."""

    def __init__(self, *, threshold: float = 1.791759, clear_voxels: float = 4.0, **preprocessing: object) -> None:
        self.spec = RuleSpec(RulePreprocessing(**preprocessing))
        self.threshold = threshold
        self.clear_voxels = clear_voxels
        self.encoded: list[Tensor] = []
        self.decoded: list[dict[str, Tensor | None]] = []

    def encode(self, volume: Tensor) -> Tensor:
        self.encoded.append(volume)
        return volume

    def decode(
        self, embedding: Tensor, *, points: tuple[Tensor, Tensor] | None = None, mask_logits: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        coords, labels = points if points is not None else (torch.zeros(1, 0, 3), torch.zeros(1, 0))
        self.decoded.append({"coords": coords[0], "labels": labels[0], "mask_logits": mask_logits})
        stride = self.spec.preprocessing.mask_stride
        volume = _pooled(embedding, stride)
        logits = 4.0 * (volume - self.threshold)
        if mask_logits is not None:
            logits = logits + 0.05 * mask_logits
        axes = [torch.arange(n) * stride + (stride - 1) / 2 for n in volume.shape[2:]]
        for d, h, w in coords[0, :, :3][labels[0] == 0].tolist():
            squared = (axes[0] - d)[:, None, None] ** 2 + (axes[1] - h)[:, None] ** 2 + (axes[2] - w) ** 2
            logits = logits.masked_fill(squared < self.clear_voxels**2, -4.0)
        return logits.repeat(1, 4, 1, 1, 1) if stride > 1 else logits, torch.zeros(1, 1)


def _pooled(volume: Tensor, stride: int) -> Tensor:
    """Mean SUV of `stride` voxels a side, without the zeros beyond the image, back as a logarithm."""
    suv = torch.nn.functional.avg_pool3d(torch.expm1(volume), stride)
    data = torch.nn.functional.avg_pool3d((volume > 0).float(), stride)
    return torch.log1p(suv / data.clamp(min=1e-6))

"""The study's own measure: a wrong one would make its table say anything."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from SegAnyPETLib.finetune.crops import LabelledCrop

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "cpcl_study"))

import run_study


class BallAroundPositiveClicks(torch.nn.Module):
    """Answers a ball of three voxels around each positive click, and nothing where there is none."""

    def encode(self, volume):
        return volume

    def decode(self, embedding, *, points, mask_logits):
        coords, labels = points
        axes = torch.meshgrid(*[torch.arange(n, dtype=torch.float32) for n in embedding.shape[2:]], indexing="ij")
        away = ((torch.stack(axes, dim=-1)[None] - coords[0, :, None, None, None, :3]) ** 2).sum(-1).sqrt()
        away[labels[0] != 1] = torch.inf
        return (3.0 - away.amin(dim=0))[None, None] + 1e-3, None


def test_the_first_click_is_a_positive_one_in_the_middle(monkeypatch):
    k, j, i = np.ogrid[:16, :16, :16]
    label = (k - 5) ** 2 + (j - 7) ** 2 + (i - 9) ** 2 <= 9
    crop = LabelledCrop(np.ones((16, 16, 16), dtype=np.float32), label, 4.0, 0)
    monkeypatch.setattr(run_study, "TinyNetwork", BallAroundPositiveClicks)
    found = run_study.evaluate({}, [crop])
    assert found["dice_1"] == [pytest.approx(1.0)]

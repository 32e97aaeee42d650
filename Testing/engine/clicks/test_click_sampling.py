"""Simulated clicks for training fall where people click."""

from __future__ import annotations

import numpy as np
import pytest

from SegAnyPETLib.clicks.sampling import sample_first_click, sample_next_click


@pytest.fixture
def target() -> np.ndarray:
    mask = np.zeros((14, 20, 17), dtype=bool)
    mask[3:10, 5:16, 2:13] = True
    return mask


def test_first_clicks_lie_in_the_target_and_often_in_its_middle(target: np.ndarray) -> None:
    suv = np.where(target, 3.0, 1.0).astype(np.float32)
    suv[9, 15, 12] = 8.0
    clicks = [sample_first_click(np.random.default_rng(n), target, suv) for n in range(300)]
    assert all(target[c] for c in clicks)
    hottest = sum(c == (9, 15, 12) for c in clicks) / 300
    middle = sum(c[0] == 6 for c in clicks) / 300
    assert 0.12 < hottest < 0.30  # a fifth by rule
    assert middle > 0.35  # 0.45 go to the middle, of 300


def test_the_same_generator_gives_the_same_click(target: np.ndarray) -> None:
    suv = target.astype(np.float32)
    assert sample_first_click(np.random.default_rng(5), target, suv) == sample_first_click(
        np.random.default_rng(5), target, suv
    )


def test_next_click_is_positive_on_missed_and_negative_on_spurious_voxels(target: np.ndarray) -> None:
    missed = target.copy()
    missed[3:6] = False
    spurious = target.copy()
    spurious[:, :4] = True
    for n in range(30):
        click, positive = sample_next_click(np.random.default_rng(n), target, missed)  # type: ignore[misc]
        assert positive
        assert target[click]
        assert not missed[click]
        click, positive = sample_next_click(np.random.default_rng(n), target, spurious)  # type: ignore[misc]
        assert not positive
        assert spurious[click]
        assert not target[click]


def test_a_perfect_mask_needs_no_click(target: np.ndarray) -> None:
    assert sample_next_click(np.random.default_rng(0), target, target.copy()) is None

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


def test_first_clicks_lie_in_the_target_and_a_few_just_miss_it(target: np.ndarray) -> None:
    suv = np.where(target, 3.0, 1.0).astype(np.float32)
    suv[9, 15, 12] = 8.0
    clicks = [sample_first_click(np.random.default_rng(n), target, suv) for n in range(600)]
    missed = [click for click in clicks if not target[click]]
    assert 0.01 < len(missed) / 600 < 0.06  # 3 % by rule
    inside = np.argwhere(target)
    assert all(np.abs(inside - click).sum(axis=1).min() == 1 for click in missed)
    hottest = sum(c == (9, 15, 12) for c in clicks) / 600
    middle = sum(c[0] == 6 for c in clicks) / 600
    assert 0.15 < hottest < 0.30  # a quarter by rule, less the hands that tremble
    assert middle > 0.22  # a third are meant for the middle plane, and a third of the hands tremble


def test_the_same_generator_gives_the_same_click(target: np.ndarray) -> None:
    suv = target.astype(np.float32)
    assert sample_first_click(np.random.default_rng(5), target, suv) == sample_first_click(
        np.random.default_rng(5), target, suv
    )


def test_next_clicks_mostly_correct_and_are_positive_exactly_inside_the_target(target: np.ndarray) -> None:
    missed = target.copy()
    missed[3:6] = False
    spurious = target.copy()
    spurious[:, :4] = True
    for predicted in (missed, spurious):
        found = [sample_next_click(np.random.default_rng(n), target, predicted) for n in range(200)]
        clicks = [entry for entry in found if entry is not None]
        assert len(clicks) == 200
        assert all(positive == target[click] for click, positive in clicks)
        correcting = sum(target[click] != predicted[click] for click, _ in clicks) / 200
        assert 0.90 < correcting < 0.99  # one in twenty says what is known already


def test_a_perfect_mask_needs_no_click(target: np.ndarray) -> None:
    assert sample_next_click(np.random.default_rng(0), target, target.copy()) is None

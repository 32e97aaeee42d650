"""Normalization against hand sums."""

from __future__ import annotations

import numpy as np
import pytest

from SegAnyPETLib.errors import ModelError
from SegAnyPETLib.preprocess import normalize


def test_zscore_uses_positive_voxels_only_and_applies_to_all():
    volume = np.array([[[0.0, 2.0], [4.0, -3.0]], [[6.0, 0.0], [8.0, 0.0]]], dtype=np.float32)
    # positive: 2 4 6 8; mean 5; squares 9 1 1 9, sum 20, divided by N - 1 = 3
    std = np.sqrt(20 / 3)

    np.testing.assert_allclose(normalize(volume, "zscore_positive"), (volume - 5.0) / std, rtol=1e-6)


def test_zscore_equals_torchs_over_a_mask():
    torch = pytest.importorskip("torch")
    volume = np.random.default_rng(2).normal(1.0, 2.0, size=(5, 6, 7)).astype(np.float32)
    values = torch.from_numpy(volume)
    expected = (values - values[values > 0].mean()) / values[values > 0].std()  # torch's std divides by N - 1

    np.testing.assert_allclose(normalize(volume, "zscore_positive"), expected.numpy(), atol=1e-5)


@pytest.mark.parametrize("volume", [np.zeros((2, 2, 2)), np.full((2, 2, 2), -1.0), np.full((2, 2, 2), 3.0)])
def test_zscore_of_a_region_without_contrast_stays_finite(volume):
    normalized = normalize(volume.astype(np.float32), "zscore_positive")

    np.testing.assert_array_equal(normalized, volume - max(0.0, volume.max()))


def test_log_suv_clips_what_carries_no_information():
    volume = np.array([[[-2.0, 0.0, 1.0, 99.0, 5000.0]]], dtype=np.float32)

    expected = [[[0.0, 0.0, np.log(2.0), np.log(100.0), np.log(101.0)]]]
    np.testing.assert_allclose(normalize(volume, "log_suv"), expected, rtol=1e-6)


@pytest.mark.parametrize("normalization", ["zscore_positive", "log_suv"])
def test_the_input_is_not_changed(normalization):
    volume = np.linspace(-1, 5, 27, dtype=np.float32).reshape(3, 3, 3)
    before = volume.copy()

    normalized = normalize(volume, normalization)

    np.testing.assert_array_equal(volume, before)
    assert normalized.dtype == np.float32


def test_an_unknown_normalization_is_refused():
    with pytest.raises(ModelError, match="log_suv"):
        normalize(np.zeros((1, 1, 1), dtype=np.float32), "minmax")

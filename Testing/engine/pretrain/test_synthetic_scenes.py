"""Synthetic scenes are plausible PET with exact truth."""

from __future__ import annotations

import numpy as np
import pytest

from SegAnyPETLib.pretrain.synthetic import add_noise, sample_scene, smooth_field


def test_scenes_are_finite_nonnegative_and_have_a_target_where_there_is_data() -> None:
    for n in range(12):
        scene = sample_scene(np.random.default_rng(n), size=32)
        assert scene.suv.shape == scene.target.shape == (32, 32, 32)
        assert scene.suv.dtype == np.float32
        assert np.isfinite(scene.suv).all()
        assert scene.suv.min() >= 0
        assert scene.target.sum() >= 8


def test_a_scene_depends_on_its_seed_alone() -> None:
    one, two = (sample_scene(np.random.default_rng(7), size=24) for _ in range(2))
    np.testing.assert_array_equal(one.suv, two.suv)
    np.testing.assert_array_equal(one.target, two.target)
    assert not np.array_equal(one.suv, sample_scene(np.random.default_rng(8), size=24).suv)


def test_a_smooth_field_has_about_unit_variance() -> None:
    fields = np.stack([smooth_field(np.random.default_rng(n), size=24, nodes=6) for n in range(40)])
    assert fields.std() == pytest.approx(1.0, abs=0.25)


def test_noise_has_the_stated_relative_size_in_uniform_uptake() -> None:
    """At SUV 1 the standard deviation is the relative one whatever the exponent, because 1 ** x is 1."""
    noisy = add_noise(np.random.default_rng(1), np.ones((32, 32, 32), np.float32), spacing_mm=4.0, relative=0.1)
    assert noisy.std() == pytest.approx(0.1, rel=0.02)
    assert noisy.mean() == pytest.approx(1.0, abs=0.02)

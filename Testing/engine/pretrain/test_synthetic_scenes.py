"""Synthetic scenes are plausible PET with exact truth."""

from __future__ import annotations

import numpy as np
import pytest

from SegAnyPETLib.pretrain import synthetic
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


def test_the_fractions_of_a_ball_add_up_to_its_volume() -> None:
    """The diameter of a ball is told by its extent along each axis: its volume is pi d^3 / 6."""
    checked = 0
    for n in range(30):
        scene = synthetic._sample_balls(np.random.default_rng(n), 64)
        faces = [np.take(scene.fraction, (0, -1), axis) for axis in range(3)]
        along = [scene.fraction.max(axis=tuple(a for a in range(3) if a != axis)).sum() for axis in range(3)]
        if np.mean(along) < 7 or any(face.any() for face in faces):
            continue  # the extent of a small ball is told too roughly, that of a cut one not at all
        checked += 1
        assert scene.fraction.sum() == pytest.approx(np.pi * np.mean(along) ** 3 / 6, rel=0.12)
    assert checked >= 4

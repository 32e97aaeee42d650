"""Crops and studies from whole bodies."""

from __future__ import annotations

import numpy as np
import pytest

from SegAnyPETLib.data import read_volume_file
from SegAnyPETLib.pretrain.bodies import sample_body_scene, sample_study, write_study
from SegAnyPETLib.pretrain.bodies.lesions import draw_diameter, draw_reach
from SegAnyPETLib.pretrain.bodies.visible import is_visible


@pytest.fixture(scope="module")
def a_study():
    return sample_study(900_001, preset="fdg", spacing_kji_mm=(5.0, 5.5, 5.2))


def test_crops_are_finite_nonnegative_and_have_a_target_where_there_is_data(two_bodies):
    spacings = set()
    for seed in range(15):
        scene = sample_body_scene(np.random.default_rng(seed), size=32, bodies=two_bodies)
        assert scene.suv.shape == scene.fraction.shape == (32, 32, 32)
        assert scene.suv.dtype == scene.fraction.dtype == np.float32
        assert np.isfinite(scene.suv).all()
        assert scene.suv.min() >= 0
        assert 0 <= scene.fraction.min() <= scene.fraction.max() <= 1
        assert scene.target.sum() >= 8
        spacings.add(scene.spacing_mm)
    assert {2.0, 4.0} <= spacings


def test_a_crop_depends_on_its_seed_alone(two_bodies):
    one, two = (sample_body_scene(np.random.default_rng(5), size=24, bodies=two_bodies) for _ in range(2))
    np.testing.assert_array_equal(one.suv, two.suv)
    np.testing.assert_array_equal(one.fraction, two.fraction)


def test_diameters_follow_the_stated_law_below_the_masses():
    rng = np.random.default_rng(2)
    diameters = np.array([draw_diameter(rng) for _ in range(4000)])
    assert (diameters > 60).mean() == pytest.approx(0.12 + 0.02, abs=0.03)
    assert np.median(diameters[diameters < 60]) == pytest.approx(17.0, rel=0.08)
    assert diameters.max() <= 200


def test_lesions_have_about_the_volume_of_their_diameter():
    shares = []
    for seed in range(60):
        reach = draw_reach(np.random.default_rng(seed), low=np.full(3, -24.0), shape=(49, 49, 49), radius=12.0)
        shares.append((reach < 1).sum() / (4 / 3 * np.pi * 12.0**3))
    assert np.median(shares) == pytest.approx(1.0, abs=0.25)


def test_only_what_differs_from_its_surroundings_is_visible():
    z, y, x = np.meshgrid(*(np.arange(20.0),) * 3, indexing="ij")
    ball = ((z - 9) ** 2 + (y - 9) ** 2 + (x - 9) ** 2 < 16).astype(np.float32)
    spacing = (4.0, 4.0, 4.0)
    assert is_visible(1 + 0.35 * ball, ball, spacing_kji_mm=spacing)
    assert is_visible(1 - 0.30 * ball, ball, spacing_kji_mm=spacing)
    assert not is_visible(1 + 0.20 * ball, ball, spacing_kji_mm=spacing)


def test_objects_of_a_study_take_up_what_they_should_and_lie_on_their_side(a_study):
    objects = {item.name: item for item in a_study.objects}
    assert {"brain", "liver", "bladder"} <= set(objects)
    means = {name: float(a_study.suv[item.mask].mean()) for name, item in objects.items()}
    assert means["brain"] > means["liver"]
    world = {n: a_study.grid.ijk_to_lps[:3] @ [*np.argwhere(o.mask).mean(0)[::-1], 1] for n, o in objects.items()}
    assert world["liver"][0] < -20 < 20 < world["spleen"][0]  # LPS x: right is negative
    assert world["bladder"][2] < -200 < 300 < world["brain"][2]
    for item in a_study.objects:
        assert item.mask.sum() * 0.143 >= 0.3
        if item.volume_ml > 100:
            assert item.mask.sum() * 0.143 == pytest.approx(item.volume_ml, rel=0.1)


def test_a_study_is_written_once_and_read_back(a_study, tmp_path):
    folders = write_study(a_study, tmp_path / "out", name="BODY_001")
    assert [f.name for f in folders] == [f"BODY_001_{item.name}" for item in a_study.objects]
    images = {(f / "pet.nii.gz").stat().st_ino for f in folders}
    assert len(images) == 1
    suv, grid = read_volume_file(folders[-1] / "pet.nii.gz")
    mask, _ = read_volume_file(folders[-1] / "gtv.nii.gz")
    np.testing.assert_array_equal(suv, a_study.suv)
    np.testing.assert_array_equal(mask > 0.5, a_study.objects[-1].mask)
    np.testing.assert_allclose(grid.ijk_to_lps, a_study.grid.ijk_to_lps, atol=1e-3)

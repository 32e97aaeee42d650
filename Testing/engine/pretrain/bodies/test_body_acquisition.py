"""The physics between uptake and image, against what is known without it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from SegAnyPETLib.pretrain.bodies.acquisition import (
    Scanner,
    add_scan_noise,
    noise_free_image,
    voxel_fractions,
    voxel_matrix,
)
from SegAnyPETLib.pretrain.bodies.motion import Breathing
from SegAnyPETLib.pretrain.bodies.tissues import LEFT, ORGANS, Tissue
from SegAnyPETLib.pretrain.bodies.tracers import draw_uptake

A_SCANNER = Scanner(fwhm_mm=(7.0, 5.0, 6.0), gibbs=False, noise=0.12, noise_fwhm_mm=4.0, noise_exponent=0.7, gain=1.0)


def full_width_at_half_maximum(profile, step_mm):
    """From the second moment, which sampling does not change; 2 sqrt(2 ln 2) for a Gaussian."""
    place = np.arange(len(profile)) * step_mm
    mean = place @ profile / profile.sum()
    return np.sqrt(8 * np.log(2) * ((place - mean) ** 2 @ profile) / profile.sum())


def test_a_point_is_spread_to_the_stated_width_along_each_axis():
    uptake = np.zeros((31, 33, 35), np.float32)
    uptake[15, 16, 17] = 1.0
    boxes = [np.eye(n) for n in uptake.shape]
    image = noise_free_image(uptake, boxes, A_SCANNER, moved=np.eye(31), spacing_kji_mm=(2.0, 2.0, 2.0))
    assert image.sum() == pytest.approx(1.0, rel=1e-3)
    widths = [full_width_at_half_maximum(p, 2.0) for p in (image[:, 16, 17], image[15, :, 17], image[15, 16, :])]
    assert widths == pytest.approx(A_SCANNER.fwhm_mm, rel=0.01)


def test_noise_has_the_stated_coefficient_of_variation_at_the_liver():
    rng = np.random.default_rng(3)
    liver = np.full((30, 34, 38), 2.2, np.float32)
    thickness = np.full(liver.shape, 280.0, np.float32)
    noise = {"spacing_kji_mm": (3.0, 4.0, 4.0), "liver_suv": 2.2}
    noisy = add_scan_noise(rng, liver, A_SCANNER, thickness_mm=thickness, **noise)
    assert noisy.std() / noisy.mean() == pytest.approx(0.12, rel=0.03)
    thick = add_scan_noise(rng, liver, A_SCANNER, thickness_mm=thickness + 200, **noise)
    assert thick.std() / noisy.std() == pytest.approx(np.exp(0.5 * 0.0045 * 200), rel=0.05)
    hot = add_scan_noise(rng, 10 * liver, replace(A_SCANNER, noise_exponent=0.5), thickness_mm=thickness, **noise)
    assert hot.std() / noisy.std() == pytest.approx(np.sqrt(10), rel=0.05)


def test_breathing_keeps_all_activity_and_the_mean_position():
    z_mm = np.arange(200) * 2.0
    matrix = Breathing(18.0, 120.0).matrix(z_mm, step_mm=2.0)
    np.testing.assert_allclose(matrix.sum(axis=0), 1.0, atol=1e-12)
    slab = np.zeros(200)
    slab[60] = 1.0  # at the dome, where the amplitude is all of 18 mm
    moved = matrix @ slab
    assert z_mm @ moved == pytest.approx(120.0, abs=0.5)
    assert np.ptp(z_mm[moved > 0]) == pytest.approx(18.0, abs=4.0)
    assert matrix[-1, -1] == pytest.approx(1.0, abs=1e-3)  # far away nothing moves


def test_fractions_add_up_to_the_geometric_volume_off_the_grid():
    z, y, x = np.meshgrid(*(np.arange(n) * 2.0 for n in (40, 44, 48)), indexing="ij")
    ball = (z - 41) ** 2 + (y - 43) ** 2 + (x - 46) ** 2 < 30**2
    spacing = (3.27, 4.07, 4.07)
    counts = (24, 21, 23)
    edges = [1.3 + np.arange(n + 1) * s for n, s in zip(counts, spacing, strict=True)]
    boxes = [voxel_matrix(e, count=n, step_mm=2.0) for e, n in zip(edges, ball.shape, strict=True)]
    fraction = voxel_fractions(ball, boxes)
    assert fraction.shape == counts
    assert fraction.max() <= 1
    assert fraction.sum() * np.prod(spacing) == pytest.approx(4 / 3 * np.pi * 30**3, rel=0.01)


def test_uptake_has_the_published_means():
    """Liver 2.2 and blood 1.56 with r = 0.82 (Boktor 2013); PSMA kidneys and salivary glands as published."""
    rng = np.random.default_rng(11)
    fdg = np.stack([draw_uptake(rng, "fdg") for _ in range(600)])
    liver, blood = fdg[:, Tissue.LIVER], fdg[:, Tissue.AORTA]
    assert liver.mean() == pytest.approx(2.2, rel=0.05)
    assert blood.mean() == pytest.approx(1.56, rel=0.05)
    assert np.corrcoef(liver, blood)[0, 1] == pytest.approx(0.82, abs=0.08)
    assert fdg[:, Tissue.GREY].mean() / fdg[:, Tissue.WHITE].mean() == pytest.approx(2.65, rel=0.05)
    psma = np.stack([draw_uptake(rng, "psma") for _ in range(200)])
    assert 30 < psma[:, Tissue.KIDNEY_CORTEX].mean() < 50
    assert 10 < psma[:, Tissue.PAROTID].mean() < 17
    np.testing.assert_array_equal(psma[:, :LEFT], psma[:, LEFT:])
    wild = draw_uptake(rng, "wild")
    assert wild[1:LEFT].max() <= 20


def test_a_heart_that_takes_up_no_more_than_blood_is_no_object():
    table = np.ones(128, np.float32)
    heart = next(organ for organ in ORGANS if organ.name == "myocardium")
    assert not heart.stands_out(table)
    table[[Tissue.MYOCARDIUM, Tissue.MYOCARDIUM_BASE]] = 8.0
    assert heart.stands_out(table)

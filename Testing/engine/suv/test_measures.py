"""Measures against closed forms: radial integrals, ramps, hand sums and brute force."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from SegAnyPETLib.errors import GeometryError, SUVError
from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.phantom import centred_grid, nema_phantom, sphere_profile
from SegAnyPETLib.suv.measures import compute_measures
from SegAnyPETLib.suv.peak import PEAK_RADIUS_MM, find_peak, sphere_weights


@dataclass(frozen=True)
class AnImage:
    """What the measures need of an SUV volume."""

    array: np.ndarray
    grid: Grid
    kind: str = "bw"
    unit: str = "g/ml"


def oblique(shape=(20, 24, 22), spacing=(2.6, 3.1, 3.7)) -> Grid:
    return centred_grid(shape, spacing, centre_lps_mm=(45.0, -130.0, 800.0), orientation="oblique")


def hot_sphere(diameter, spacing, fwhm=6.0, shift=(0.2, -0.4, 0.3), background=1.0, suv=8.0):
    grid = oblique(tuple(round(80 / s) for s in reversed(spacing)), spacing)
    centre = tuple(grid.kji_to_lps((np.asarray(grid.shape_kji) - 1) / 2 + shift))
    phantom = nema_phantom(
        grid=grid,
        diameters_mm=(diameter,),
        centres_lps_mm=[centre],
        background_suv=background,
        sphere_suv=suv,
        fwhm_mm=fwhm,
    )
    return AnImage(phantom.activity_suv, grid), phantom.objects[0]


def test_the_peak_sphere_holds_one_millilitre():
    assert pytest.approx(6.2035, abs=1e-4) == PEAK_RADIUS_MM


def test_a_hand_sum_of_four_voxels():
    grid = oblique((4, 5, 6), (2.0, 2.5, 4.0))  # 0.02 ml a voxel
    array = np.zeros(grid.shape_kji, np.float32)
    mask = np.zeros(grid.shape_kji, bool)
    for kji, value in {(1, 2, 3): 2.0, (1, 2, 4): 4.0, (2, 2, 3): 9.0, (2, 3, 3): 5.0}.items():
        array[kji], mask[kji] = value, True
    found = compute_measures(AnImage(array, grid), mask)
    assert (found.voxel_count, found.suv_max, found.suv_min, found.suv_median) == (4, 9.0, 2.0, 4.5)
    assert found.suv_mean == 5.0
    assert found.suv_sd == pytest.approx(np.sqrt((9 + 1 + 16 + 0) / 4))
    assert found.volume_ml == found.mtv_ml == pytest.approx(0.08)
    assert found.tlg == pytest.approx(5.0 * 0.08)
    assert (found.suv_unit, found.tlg_unit) == ("g/ml", "g")
    assert found.suv_max_lps_mm == pytest.approx(tuple(grid.kji_to_lps((2, 2, 3))))
    assert found.centroid_lps_mm == pytest.approx(tuple(grid.kji_to_lps((1.5, 2.25, 3.25))))
    surface = compute_measures(AnImage(array, grid, kind="bsa", unit="cm2/ml"), mask.astype(np.uint8))
    assert (surface.suv_unit, surface.tlg_unit, surface.tlg) == ("cm2/ml", "cm2", found.tlg)


@pytest.mark.parametrize("diameter", [10.0, 13.0, 22.0, 37.0])
@pytest.mark.parametrize(("spacing", "tolerance"), [((1.9, 2.1, 2.0), 0.004), ((4.1, 3.9, 4.0), 0.012)])
def test_the_peak_of_a_blurred_sphere_is_its_radial_integral(diameter, spacing, tolerance):
    image, sphere = hot_sphere(diameter, spacing)
    found = compute_measures(image, sphere.mask)
    radius = (np.arange(2000) + 0.5) / 2000 * 6.20350490899
    # Voxels count as uniform: to second order a further blur by the voxel, of variance spacing^2 / 12.
    fwhm = np.sqrt(6.0**2 + 8 * np.log(2) * np.mean(np.square(spacing)) / 12)
    profile = 1 + 7 * sphere_profile(radius, diameter_mm=diameter, fwhm_mm=fwhm)
    expected = np.average(profile, weights=radius**2)
    assert found.suv_peak == pytest.approx(expected, rel=tolerance)
    if diameter < 20:  # a larger sphere has a plateau, where any place is as good
        assert np.linalg.norm(np.subtract(found.suv_peak_lps_mm, sphere.centre_lps_mm)) < 0.7


@pytest.mark.parametrize("diameter", [17.0, 28.0])
def test_mean_max_and_glycolysis_of_a_blurred_sphere_follow_the_closed_form(diameter):
    image, sphere = hot_sphere(diameter, (1.6, 1.7, 1.8))
    found = compute_measures(image, sphere.mask)
    radius = (np.arange(4000) + 0.5) / 4000 * diameter / 2
    mean = np.average(1 + 7 * sphere_profile(radius, diameter_mm=diameter, fwhm_mm=6.0), weights=radius**2)
    assert found.suv_mean == pytest.approx(mean, rel=0.01)
    assert found.suv_max == pytest.approx(
        1 + 7 * float(sphere_profile(0.0, diameter_mm=diameter, fwhm_mm=6.0)), rel=0.01
    )
    assert found.volume_ml == pytest.approx(sphere.true_volume_ml, rel=0.03)
    assert found.tlg == pytest.approx(mean * sphere.true_volume_ml, rel=0.03)
    assert np.abs(np.subtract(found.centroid_lps_mm, sphere.centre_lps_mm)).max() < 0.3


@settings(max_examples=40, deadline=None)
@given(
    offset=st.tuples(*[st.floats(-0.5, 0.5)] * 3),
    spacing=st.tuples(*[st.floats(1.0, 8.0)] * 3),
)
def test_sphere_weights_have_the_sphere_as_centre_of_mass_and_its_inertia(offset, spacing):
    weights = sphere_weights(offset, spacing)
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1.0)
    # Each voxel counts by the volume in the sphere, so the first and the last voxel touched are where the sphere ends.
    for axis in range(3):
        n = weights.shape[axis] // 2
        profile = weights.sum(axis=tuple(a for a in range(3) if a != axis))
        edges = np.arange(-n - 0.5, n + 1) - offset[axis]
        z = np.clip(edges * spacing[axis] / PEAK_RADIUS_MM, -1, 1)
        cap = 0.5 + 0.75 * (z - z**3 / 3)  # part of a unit sphere below height z
        assert profile == pytest.approx(np.diff(cap), abs=0.006)


def test_on_a_linear_ramp_the_sphere_mean_is_the_value_at_its_centre():
    grid = oblique((18, 20, 22), (3.0, 3.0, 3.0))
    k, j, i = np.indices(grid.shape_kji)
    array = (5 + 0.2 * k + 0.1 * j - 0.05 * i).astype(np.float32)
    mask = np.zeros(grid.shape_kji, bool)
    mask[8, 9, 10] = True
    at_centre = (array[8 - 3 : 8 + 4, 9 - 3 : 9 + 4, 10 - 3 : 10 + 4] * sphere_weights((0.0, 0.0, 0.0), (3.0,) * 3))[
        ...
    ]
    assert sphere_weights((0.0, 0.0, 0.0), (3.0,) * 3).shape == (7, 7, 7)
    assert at_centre.sum() == pytest.approx(array[8, 9, 10], rel=1e-6)
    peak = find_peak(array, mask, grid=grid)
    assert peak.centre_kji == (8.5, 9.5, 9.5)  # the hottest corner of the one voxel
    assert peak.value == pytest.approx(5 + 0.2 * 8.5 + 0.1 * 9.5 - 0.05 * 9.5, abs=0.01)


def test_no_place_in_the_mask_beats_the_peak():
    rng = np.random.default_rng(12)
    grid = oblique((16, 18, 17), (3.3, 4.2, 2.7))
    array = rng.gamma(2.0, 2.0, grid.shape_kji).astype(np.float32)
    mask = np.zeros(grid.shape_kji, bool)
    mask[5:11, 6:12, 5:12] = rng.random((6, 6, 7)) < 0.5
    peak = find_peak(array, mask, grid=grid)
    assert mask[tuple(np.floor(np.asarray(peak.centre_kji) + 0.5 - 1e-9).astype(int))] or peak.value > 0
    ball = rng.uniform(-PEAK_RADIUS_MM, PEAK_RADIUS_MM, (6000, 3))
    ball = ball[np.linalg.norm(ball, axis=1) <= PEAK_RADIUS_MM] / np.asarray(grid.spacing_kji_mm)

    def mean_at(centre):
        k, j, i = np.floor(centre + ball + 0.5).astype(int).T
        return array[k, j, i].astype(float).mean()

    voxels = np.argwhere(mask)
    tries = voxels[rng.integers(0, len(voxels), 3000)] + rng.uniform(-0.5, 0.5, (3000, 3))
    sampled = np.array([mean_at(c) for c in tries])
    assert mean_at(np.asarray(peak.centre_kji)) == pytest.approx(peak.value, rel=0.02)
    assert sampled.max() <= peak.value * 1.02


@pytest.mark.parametrize("spacing", [(1.0, 1.2, 1.1), (4.0, 4.0, 5.0), (9.0, 7.0, 13.0)])
def test_a_mask_of_one_voxel_has_a_peak(spacing):
    image, sphere = hot_sphere(28.0, spacing, shift=(0.0, 0.0, 0.0))
    mask = np.zeros_like(sphere.mask)
    mask[tuple(n // 2 for n in mask.shape)] = True
    found = compute_measures(image, mask)
    assert found.voxel_count == 1
    assert 1 < found.suv_peak <= 8.0
    assert not found.suv_peak_is_truncated


def test_the_peak_may_lie_at_the_border_of_the_mask_and_use_voxels_outside():
    grid = oblique((20, 20, 20), (2.0, 2.0, 2.0))
    array = np.ones(grid.shape_kji, np.float32)
    array[:, :, 11:] = 10.0
    mask = np.zeros(grid.shape_kji, bool)
    mask[9:12, 9:12, 8:11] = True  # cold, beside the hot half
    peak = find_peak(array, mask, grid=grid)
    assert peak.centre_kji[2] == 10.5
    assert peak.value == pytest.approx(5.5, abs=1e-6)  # half of the sphere on each side


def test_a_sphere_that_leaves_the_image_is_told_and_averages_what_is_inside():
    grid = oblique((12, 12, 12), (3.0, 3.0, 3.0))
    mask = np.zeros(grid.shape_kji, bool)
    mask[0, 5, 5] = True
    found = compute_measures(AnImage(np.full(grid.shape_kji, 3.0, np.float32), grid), mask)
    assert found.suv_peak == pytest.approx(3.0)
    assert found.suv_peak_is_truncated


def test_negative_values_are_measured_as_they_are():
    grid = oblique()
    found = compute_measures(AnImage(np.full(grid.shape_kji, -0.5, np.float32), grid), np.ones(grid.shape_kji, bool))
    assert (found.suv_max, found.suv_mean) == (-0.5, -0.5)
    assert found.suv_peak == pytest.approx(-0.5)


def test_a_flat_image_and_a_large_mask_are_measured_in_reasonable_time():
    grid = oblique((80, 90, 85), (3.0, 3.0, 3.0))
    image = AnImage(np.full(grid.shape_kji, 2.2, np.float32), grid)
    started = time.process_time()
    found = compute_measures(image, np.ones(grid.shape_kji, bool))
    assert found.suv_peak == pytest.approx(2.2)
    assert time.process_time() - started < 10


def test_measures_do_not_change_what_they_measure():
    image, sphere = hot_sphere(22.0, (3.0, 3.0, 3.0))
    before = image.array.copy()
    assert compute_measures(image, sphere.mask) == compute_measures(image, sphere.mask)
    assert np.array_equal(image.array, before)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), scale=st.floats(0.1, 20))
def test_measures_scale_with_the_image_and_keep_their_order(seed, scale):
    rng = np.random.default_rng(seed)
    grid = oblique((8, 9, 7), (3.0, 2.5, 4.0))
    array = rng.gamma(2.0, 1.5, grid.shape_kji).astype(np.float32)
    mask = rng.random(grid.shape_kji) < 0.2
    mask[4, 4, 3] = True
    one, many = (compute_measures(AnImage(a, grid), mask) for a in (array, array * np.float32(scale)))
    for name in ("suv_max", "suv_mean", "suv_peak", "suv_sd", "suv_median", "tlg"):
        assert getattr(many, name) == pytest.approx(scale * getattr(one, name), rel=1e-4)
    assert one.suv_min <= one.suv_median <= one.suv_max
    assert one.suv_min <= one.suv_mean <= one.suv_max
    assert one.suv_peak <= array.max()


def test_an_empty_mask_is_refused_with_advice():
    grid = oblique()
    with pytest.raises(SUVError, match="at least one voxel"):
        compute_measures(AnImage(np.ones(grid.shape_kji, np.float32), grid), np.zeros(grid.shape_kji, bool))


@pytest.mark.parametrize("shape", [(20, 24), (24, 20, 22), (1, 20, 24, 22)])
def test_a_mask_of_another_shape_is_refused(shape):
    grid = oblique()
    with pytest.raises(GeometryError, match="Expected a mask"):
        compute_measures(AnImage(np.ones(grid.shape_kji, np.float32), grid), np.ones(shape, bool))


def test_a_label_map_or_a_probability_is_not_taken_for_a_mask():
    grid = oblique()
    for values in (np.full(grid.shape_kji, 2, np.uint8), np.full(grid.shape_kji, 0.3)):
        with pytest.raises(GeometryError, match="0 and 1"):
            compute_measures(AnImage(np.ones(grid.shape_kji, np.float32), grid), values)


def test_values_that_are_not_finite_are_refused():
    grid = oblique()
    array, mask = np.ones(grid.shape_kji, np.float32), np.zeros(grid.shape_kji, bool)
    mask[5, 6, 7] = True
    array[5, 6, 8] = np.nan  # outside the mask but within the peak sphere
    with pytest.raises(SUVError, match="in and around the mask; found 1 voxels"):
        compute_measures(AnImage(array, grid), mask)


def test_the_peak_of_a_mirrored_image_is_the_same_and_at_the_mirrored_place():
    """A place on the face between two voxels belongs to either: rounding must not decide where is looked closer."""
    grid = Grid((30, 40, 50), (4.07, 4.07, 3.0), (0, 0, 0), ((1, 0, 0), (0, 1, 0), (0, 0, 1)))
    image = np.random.default_rng(0).random(grid.shape_kji).astype(np.float32) * 5
    for k, j, i in ((12, 30, 40), (15, 20, 25), (20, 8, 20)):
        mask = np.zeros(grid.shape_kji, dtype=bool)
        mask[k - 3 : k + 3, j - 3 : j + 3, i - 3 : i + 3] = True
        found = find_peak(image, mask, grid=grid)
        for axis, side in enumerate(grid.shape_kji):
            mirrored = find_peak(np.flip(image, axis).copy(), np.flip(mask, axis).copy(), grid=grid)
            expected = list(found.centre_kji)
            expected[axis] = side - 1 - expected[axis]
            assert mirrored.value == pytest.approx(found.value, rel=1e-9)
            np.testing.assert_allclose(mirrored.centre_kji, expected, atol=1e-6)

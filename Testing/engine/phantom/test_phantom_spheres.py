"""The closed-form spheres against tables, numerical convolution and counting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from SegAnyPETLib.errors import GeometryError
from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.phantom import NEMA_DIAMETERS_MM, Noise, centred_grid, nema_phantom, sphere_profile

FWHM_PER_SIGMA = 2.3548200450309493

# Peak recovery of a hot sphere at FWHM 5, 6 and 7 mm, from the design's table (numerical convolution).
PEAK_RECOVERY = {
    10: (0.864, 0.722, 0.581),
    13: (0.975, 0.911, 0.811),
    17: (0.999, 0.989, 0.957),
    22: (1.0, 1.0, 0.997),
    28: (1.0, 1.0, 1.0),
    37: (1.0, 1.0, 1.0),
}
# Mean recovery inside the true sphere at 10:1 contrast: mean of background 1 and sphere 10, divided by 10.
MEAN_RECOVERY = {10: (0.57, 0.50, 0.43), 17: (0.74, 0.69, 0.64), 37: (0.88, 0.85, 0.83)}


@pytest.fixture(params=["axial", "coronal", "sagittal", "oblique"])
def a_grid(request) -> Grid:
    return centred_grid((52, 58, 62), (3.1, 3.3, 3.7), centre_lps_mm=(31.0, -212.0, 640.0), orientation=request.param)


@pytest.mark.parametrize(("diameter", "expected"), PEAK_RECOVERY.items())
def test_the_centre_of_a_blurred_sphere_recovers_as_tabulated(diameter, expected):
    found = [float(sphere_profile(0.0, diameter_mm=diameter, fwhm_mm=fwhm)) for fwhm in (5, 6, 7)]
    assert found == pytest.approx(expected, abs=6e-4)


@pytest.mark.parametrize(("diameter", "expected"), MEAN_RECOVERY.items())
def test_the_mean_in_a_blurred_sphere_recovers_as_tabulated(diameter, expected):
    radius = (np.arange(4000) + 0.5) / 4000 * diameter / 2
    for fwhm, value in zip((5, 6, 7), expected, strict=True):
        profile = sphere_profile(radius, diameter_mm=diameter, fwhm_mm=fwhm)
        recovery = np.average(1 + 9 * profile, weights=radius**2) / 10
        assert recovery == pytest.approx(value, abs=0.006)


def test_the_profile_equals_a_numerical_convolution():
    step, diameter, fwhm = 0.5, 13.0, 6.0
    axis = np.arange(-36, 37) * step
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    radius = np.sqrt(x**2 + y**2 + z**2)
    ball = np.clip((diameter / 2 - radius) / step + 0.5, 0, 1)
    blurred = ndimage.gaussian_filter(ball, fwhm / FWHM_PER_SIGMA / step, truncate=6)
    exact = sphere_profile(radius, diameter_mm=diameter, fwhm_mm=fwhm)
    assert np.abs(blurred - exact)[radius < 14].max() < 2e-3


def test_the_profile_is_smooth_through_its_limit_at_the_centre():
    near = sphere_profile(np.linspace(0, 0.02, 201), diameter_mm=10, fwhm_mm=6)
    assert np.abs(np.diff(near)).max() < 1e-5


def test_the_profile_keeps_the_volume_of_the_sphere():
    radius = (np.arange(20000) + 0.5) / 20000 * 60
    integral = (4 * np.pi * radius**2 * sphere_profile(radius, diameter_mm=17, fwhm_mm=7)).sum() * 60 / 20000
    assert integral == pytest.approx(4 / 3 * np.pi * 8.5**3, rel=1e-6)


def test_spheres_hold_the_closed_form_at_every_voxel_of_any_grid(a_grid):
    centres = [tuple(a_grid.kji_to_lps((15.3, 18.8, 20.1))), tuple(a_grid.kji_to_lps((33.9, 40.2, 41.6)))]
    phantom = nema_phantom(
        grid=a_grid, diameters_mm=(28.0, 13.0), centres_lps_mm=centres, background_suv=0.7, sphere_suv=9.0, fwhm_mm=5.5
    )
    picks = np.random.default_rng(3).integers(0, a_grid.shape_kji, size=(400, 3))
    for k, j, i in picks:
        point = np.asarray(a_grid.ijk_to_lps @ (i, j, k, 1.0))[:3]
        expected = 0.7 + sum(
            8.3 * float(sphere_profile(np.linalg.norm(point - c), diameter_mm=d, fwhm_mm=5.5))
            for c, d in zip(centres, (28.0, 13.0), strict=True)
        )
        assert phantom.activity_suv[k, j, i] == pytest.approx(expected, rel=2e-7)


def test_the_six_nema_spheres_lie_on_their_ring_with_true_volumes(a_grid):
    phantom = nema_phantom(grid=a_grid)
    middle = a_grid.kji_to_lps((np.asarray(a_grid.shape_kji) - 1) / 2)
    assert [o.name for o in phantom.objects] == [f"sphere {d:g} mm" for d in NEMA_DIAMETERS_MM]
    for item, diameter in zip(phantom.objects, NEMA_DIAMETERS_MM, strict=True):
        offset = np.asarray(item.centre_lps_mm) - middle
        assert np.hypot(offset[0] - 0.7, offset[1] + 1.1) == pytest.approx(57.2)
        assert item.true_volume_ml == pytest.approx(np.pi / 6 * (diameter / 10) ** 3)
        counted = item.mask.sum() * a_grid.voxel_volume_ml
        assert counted == pytest.approx(item.true_volume_ml, rel=0.07 if diameter > 20 else 0.25)
        centroid = a_grid.kji_to_lps(np.argwhere(item.mask).mean(axis=0))
        assert np.abs(centroid - item.centre_lps_mm).max() < 0.6


def test_one_voxel_belongs_to_the_truth_when_half_of_it_is_inside():
    grid = centred_grid((5, 5, 5), (2.0, 2.0, 2.0))
    sphere = nema_phantom(grid=grid, diameters_mm=(2.2,), centres_lps_mm=[(0.0, 0.0, 0.0)]).objects[0]
    assert np.argwhere(sphere.mask).tolist() == [[2, 2, 2]]  # 5.58 of the voxel's 8 mm3
    small = nema_phantom(grid=grid, diameters_mm=(1.8,), centres_lps_mm=[(0.0, 0.0, 0.0)]).objects[0]
    assert not small.mask.any()  # 3.05 of 8 mm3


def test_the_same_phantom_in_four_orientations_is_the_same_in_world_space():
    spacing, points = (2.0, 2.0, 2.0), np.random.default_rng(1).uniform(-20, 20, (200, 3))
    samples = []
    for orientation in ("axial", "coronal", "sagittal", "oblique"):
        grid = centred_grid((50, 50, 50), spacing, orientation=orientation)
        phantom = nema_phantom(grid=grid, diameters_mm=(22.0,), centres_lps_mm=[(3.2, -4.1, 1.3)])
        index = np.moveaxis(grid.lps_to_kji(points), -1, 0)
        samples.append(ndimage.map_coordinates(phantom.activity_suv.astype(float), index, order=3))
    for other in samples[1:]:
        assert np.abs(other - samples[0]).max() < 0.01


def test_noise_has_the_asked_strength_and_grain_and_follows_its_seed():
    grid = centred_grid((30, 60, 64), (3.0, 3.0, 4.0))
    quiet = nema_phantom(grid=grid, diameters_mm=(10.0,), background_suv=2.2, sphere_suv=4.0)
    far = np.ones(grid.shape_kji, dtype=bool)
    far[5:25, 10:50, 10:54] = False
    noise = Noise(seed=5, relative_sd=0.12, reference_suv=2.2, correlation_fwhm_mm=6.0)
    noisy = nema_phantom(grid=grid, diameters_mm=(10.0,), background_suv=2.2, sphere_suv=4.0, noise=noise)
    residual = (noisy.activity_suv - quiet.activity_suv)[far]
    assert residual.std() / 2.2 == pytest.approx(0.12, rel=0.03)
    # Smoothing white noise with a Gaussian of sigma s leaves a correlation exp(-d^2 / 4 s^2) at distance d.
    field = noisy.activity_suv - quiet.activity_suv
    sigma = 6.0 / FWHM_PER_SIGMA
    correlation = np.corrcoef(field[:5, :, :-1].ravel(), field[:5, :, 1:].ravel())[0, 1]
    assert correlation == pytest.approx(np.exp(-(3.0**2) / (4 * sigma**2)), abs=0.03)
    again = nema_phantom(grid=grid, diameters_mm=(10.0,), background_suv=2.2, sphere_suv=4.0, noise=noise)
    assert np.array_equal(noisy.activity_suv, again.activity_suv)


def test_a_phantom_cannot_be_changed():
    phantom = nema_phantom(grid=centred_grid((20, 50, 50), (4.0, 4.0, 4.0)))
    with pytest.raises(ValueError, match="read-only"):
        phantom.activity_suv[0, 0, 0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        phantom.objects[0].mask[0, 0, 0] = True
    with pytest.raises(KeyError, match="sphere 37 mm"):
        phantom.object("sphere 38 mm")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"diameters_mm": (10.0, -3.0)}, "positive widths"),
        ({"fwhm_mm": 0.0}, "positive widths"),
        ({"centres_lps_mm": [(0.0, 0.0, 0.0)]}, "one centre for each of 6"),
        ({"diameters_mm": (10.0,), "centres_lps_mm": [(900.0, 0.0, 0.0)]}, "lies outside the grid"),
    ],
)
def test_impossible_spheres_are_refused(arguments, message):
    with pytest.raises(GeometryError, match=message):
        nema_phantom(**arguments)


@settings(max_examples=25, deadline=None)
@given(
    spacing=st.tuples(*[st.floats(1.5, 5.0)] * 3),
    shift=st.tuples(*[st.floats(-0.5, 0.5)] * 3),
    diameter=st.floats(14.0, 30.0),
    orientation=st.sampled_from(["axial", "coronal", "sagittal", "oblique"]),
)
def test_the_activity_above_background_sums_to_the_volume_of_the_sphere(spacing, shift, diameter, orientation):
    # A blur moves activity but loses none; samples finer than the blur keep the integral.
    grid = centred_grid(tuple(round(75 / s) for s in reversed(spacing)), spacing, orientation=orientation)
    centre = tuple(grid.kji_to_lps((np.asarray(grid.shape_kji) - 1) / 2 + shift))
    phantom = nema_phantom(
        grid=grid, diameters_mm=(diameter,), centres_lps_mm=[centre], background_suv=0.0, sphere_suv=1.0, fwhm_mm=7.5
    )
    total_ml = phantom.activity_suv.sum(dtype=np.float64) * grid.voxel_volume_ml
    assert total_ml == pytest.approx(np.pi / 6 * (diameter / 10) ** 3, rel=0.01)

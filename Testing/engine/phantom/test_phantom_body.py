"""The body phantom against closed forms, literature volumes and itself in other orientations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from SegAnyPETLib.errors import GeometryError
from SegAnyPETLib.phantom import Noise, Phantom, body_phantom, centred_grid, sphere_profile

LUNG_NODULE_LPS_MM = (88.0, -5.0, 158.0)


@pytest.fixture(scope="module")
def a_body() -> Phantom:
    return body_phantom(grid=centred_grid((188, 54, 72), (5.0, 4.6, 5.0), centre_lps_mm=(0.0, 0.0, -10.0)))


def around(centre, orientation="oblique", shape=(24, 26, 22), spacing=(2.6, 2.9, 3.4)):
    return centred_grid(shape, spacing, centre_lps_mm=centre, orientation=orientation)


@pytest.mark.parametrize("spacing", [(2.0, 2.2, 2.4), (3.0, 3.4, 4.1), (5.4, 4.6, 5.0), (7.8, 7.8, 6.0)])
@pytest.mark.parametrize("fwhm", [4.5, 7.0])
def test_a_sphere_in_the_lung_is_blurred_as_the_closed_form_says(spacing, fwhm):
    shape = tuple(round(48 / s) for s in reversed(spacing))
    grid = centred_grid(shape, spacing, centre_lps_mm=(86.9, -4.4, 159.1), orientation="oblique")
    body = body_phantom(grid=grid, fwhm_mm=fwhm)
    points = grid.kji_to_lps(np.moveaxis(np.indices(grid.shape_kji), 0, -1))
    radius = np.linalg.norm(points - np.asarray(LUNG_NODULE_LPS_MM), axis=-1)
    near = radius < 18
    expected = 0.45 + (8.0 - 0.45) * sphere_profile(radius, diameter_mm=20.0, fwhm_mm=fwhm)
    assert near.sum() > 60
    assert np.abs(body.activity_suv - expected)[near].max() < 0.007 * 7.55


def test_flat_organs_hold_their_uptake(a_body):
    for name, suv in [("liver", 2.2), ("right lung", 0.45), ("bladder", 14.0)]:
        core = ndimage.distance_transform_edt(a_body.object(name).mask, sampling=a_body.grid.spacing_kji_mm)
        deepest = np.unravel_index(core.argmax(), core.shape)
        assert a_body.activity_suv[deepest] == pytest.approx(suv, rel=2e-3)


def test_organs_have_the_volumes_of_a_reference_adult(a_body):
    # Reference man +-25 %; the lungs are those of shallow breathing.
    for name, low, high in [
        ("brain", 1050, 1750),
        ("liver", 1130, 2250),
        ("spleen", 110, 250),
        ("left kidney", 110, 190),
        ("right lung", 1500, 3700),
    ]:
        counted = a_body.object(name).mask.sum() * a_body.grid.voxel_volume_ml
        assert low < counted < high, name
        assert counted == pytest.approx(a_body.object(name).true_volume_ml, rel=0.03)


def test_the_lesions_are_of_the_promised_kinds(a_body):
    lesions = {item.name: item for item in a_body.lesions}
    assert len(lesions) == 8
    assert len(a_body.objects) - len(lesions) == 13
    mass = lesions["necrotic thigh mass"]
    assert mass.true_volume_ml == pytest.approx(4 / 3 * np.pi * 3.4 * 3.0 * 4.4, rel=2e-3)  # the core belongs to it
    middle = a_body.grid.nearest_voxel_kji(mass.centre_lps_mm)
    assert mass.mask[middle]
    assert a_body.activity_suv[middle] < 2 < 7 < a_body.activity_suv[mass.mask].max()
    assert lesions["lobulated nodal mass"].true_volume_ml > np.pi / 6 * 2.8**3


@pytest.mark.parametrize(
    ("lesion", "organ"), [("lesion at the bladder", "bladder"), ("lesion at the heart", "myocardium")]
)
def test_lesions_that_touch_an_organ_meet_it_and_share_no_voxel(a_body, lesion, organ):
    mask, host = a_body.object(lesion).mask, a_body.object(organ).mask
    assert not (mask & host).any()
    assert (ndimage.binary_dilation(mask, iterations=2) & host).any()


def test_no_voxel_belongs_to_two_objects(a_body):
    assert sum(item.mask.astype(int) for item in a_body.objects).max() == 1


def test_the_body_is_the_same_in_world_space_in_every_orientation():
    centre = (60.0, -20.0, -300.0)
    points = np.random.default_rng(0).uniform(-18, 18, (300, 3)) + centre
    samples = []
    for orientation in ("axial", "coronal", "sagittal", "oblique"):
        grid = around(centre, orientation, (26, 28, 30), (2.2, 2.2, 2.2))
        phantom = body_phantom(grid=grid)
        assert "lesion at the bladder" in [item.name for item in phantom.lesions]
        index = np.moveaxis(grid.lps_to_kji(points), -1, 0)
        samples.append(ndimage.map_coordinates(phantom.activity_suv.astype(float), index, order=3))
    for other in samples[1:]:
        assert np.abs(other - samples[0]).max() < 0.02 * 14


def test_a_crop_shows_the_same_activity_as_the_whole():
    large = body_phantom(grid=around((60.0, -20.0, -300.0), shape=(24, 26, 22)))
    box = type(large.grid.box)((5, 6, 4), (17, 20, 18))
    small = body_phantom(grid=large.grid.crop(box))
    assert np.abs(small.activity_suv - large.activity_suv[box.slices]).max() < 1e-3


def test_left_of_the_patient_is_left_of_the_world(a_body):
    heart, liver = (a_body.object(name) for name in ("myocardium", "liver"))
    x_of = {o.name: a_body.grid.kji_to_lps(np.argwhere(o.mask).mean(axis=0))[0] for o in (heart, liver)}
    assert x_of["myocardium"] > 20
    assert x_of["liver"] < -40


def test_the_noisy_body_is_reproducible_and_air_stays_silent():
    grid = around(LUNG_NODULE_LPS_MM)
    first, second = (body_phantom(grid=grid, noise=Noise(seed=7)) for _ in range(2))
    assert np.array_equal(first.activity_suv, second.activity_suv)
    assert first.activity_suv.min() >= 0
    air = body_phantom(
        grid=centred_grid((8, 9, 60), (5.0, 5.0, 5.0), centre_lps_mm=(150.0, 0.0, 0.0)), noise=Noise(seed=1)
    )
    assert (air.activity_suv[:, :, -8:] == 0).all()


def test_a_grid_beside_the_body_is_refused():
    with pytest.raises(GeometryError, match="No organ or lesion"):
        body_phantom(grid=around((900.0, 0.0, 0.0)))
    with pytest.raises(GeometryError, match="positive FWHM"):
        body_phantom(grid=around((0.0, 0.0, 0.0)), fwhm_mm=-1.0)

import numpy as np
import pytest
from prompted_studies import oblique_grid

from SegAnyPETLib.batch.prompting.body_frame import find_body
from SegAnyPETLib.batch.prompting.candidate_rule import parse_candidate_rule
from SegAnyPETLib.batch.prompting.candidates import request_candidates
from SegAnyPETLib.batch.prompting.reference_regions import find_aorta, find_liver, measure_reference
from SegAnyPETLib.errors import InputError
from SegAnyPETLib.geometry import Grid, VoxelBox
from SegAnyPETLib.suv import SUVVolume, compute_measures

PLACE = "31,-52,210"
KINDS = ((1.0, "bw"), (0.7, "lbm"))


def constant(value, kind="bw"):
    grid = oblique_grid()
    return SUVVolume(np.full(grid.shape_kji, value, np.float32), grid, kind)


@pytest.mark.parametrize(("organ", "expected"), [("liver", 1.5 * 2.0), ("bloodpool", 2.0 * 2.0)])
def test_in_a_constant_organ_the_threshold_is_the_factor_times_the_mean(organ, expected):
    request = request_candidates(constant(2.0), parse_candidate_rule(f"percist:{organ}={PLACE}"))
    assert request.facts["seed_threshold_suvbw_g_per_ml"] == pytest.approx(expected, abs=1e-6)
    assert f"SUVbw {expected:.2f} g/ml or more (PERCIST 1.0" in request.rule
    assert any("applied to SUVbw" in note for note in request.notes)


def test_mean_and_standard_deviation_are_those_of_the_voxels_whose_centres_lie_in_the_sphere():
    grid = oblique_grid()
    values = np.random.default_rng(5).uniform(1, 3, grid.shape_kji).astype(np.float32)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape_kji), indexing="ij"), axis=-1)
    at = (33.0, -50.0, 205.0)
    inside = values[((grid.kji_to_lps(index) - at) ** 2).sum(axis=-1) <= 15.0**2].astype(float)
    region = measure_reference(SUVVolume(values, grid), "liver", at, is_given=True)
    assert region.voxel_count == len(inside)
    assert region.mean_suv == pytest.approx(inside.mean())
    assert region.sd_suv == pytest.approx(inside.std())
    assert region.threshold_suv == pytest.approx(1.5 * inside.mean() + 2.0 * inside.std())


def test_the_blood_pool_is_a_cylinder_of_one_by_two_centimetres_along_the_patient():
    grid = oblique_grid(spacing_ijk_mm=(1.5, 1.7, 1.9))
    region = measure_reference(
        SUVVolume(np.ones(grid.shape_kji, np.float32), grid), "blood pool", (31, -52, 210), is_given=True
    )
    assert region.voxel_count * grid.voxel_volume_ml == pytest.approx(np.pi * 0.5**2 * 2.0, rel=0.1)


def test_a_place_whose_region_leaves_the_image_is_refused():
    with pytest.raises(InputError, match="within the image"):
        request_candidates(constant(2.0), parse_candidate_rule("percist:liver=31,-52,300"))


def test_lean_body_suv_needs_no_word_about_the_kind():
    request = request_candidates(constant(2.0, "lbm"), parse_candidate_rule(f"percist:liver={PLACE}"))
    assert not any("SUL" in note for note in request.notes)
    assert "liver_mean_suvlbm_g_per_ml" in request.facts


def test_another_normalizer_chooses_the_same_voxels(a_body):
    box = a_body.grid.box.intersection(VoxelBox((60, 0, 0), (110, 60, 90)))  # the trunk is enough
    grid = a_body.grid.crop(box)
    images = (SUVVolume(a_body.activity_suv[box.slices] * np.float32(f), grid, kind) for f, kind in KINDS)
    requests = [request_candidates(image, parse_candidate_rule("percist:liver=-66,-20,-10")) for image in images]
    volumes = [[item.facts["focus_volume_above_threshold_ml"] for item in request.lesions] for request in requests]
    assert len(volumes[0]) > 3
    np.testing.assert_allclose(volumes[0], volumes[1], atol=grid.voxel_volume_ml)


@pytest.mark.parametrize("value", [0.3, 1.5])
def test_nothing_found_is_said_and_a_fixed_threshold_named(value):
    request = request_candidates(constant(value), parse_candidate_rule("percist"))
    notes = " ".join(request.notes)
    assert "No liver reference was found" in notes
    assert "No blood pool reference was found" in notes
    assert "fixed threshold of SUVbw 4.00 g/ml stands in" in notes
    assert request.facts["percist_reference"] == "none, fixed threshold"
    assert request.facts["seed_threshold_suvbw_g_per_ml"] == 4.0


def test_liver_and_aorta_of_a_body_are_found_where_they_are(a_body):
    image = SUVVolume(a_body.activity_suv, a_body.grid)
    body = find_body(image)
    for found, name, suv in ((find_liver(image, body), "liver", 2.2), (find_aorta(image, body), "aorta", 1.6)):
        assert found is not None
        assert a_body.object(name).mask[a_body.grid.nearest_voxel_kji(found.centre_lps_mm)]
        assert found.mean_suv == pytest.approx(suv, rel=0.05)


def test_they_are_found_too_where_the_slices_are_coronal(a_body):
    array, grid = a_body.activity_suv, a_body.grid
    matrix = grid.ijk_to_lps[:, [0, 2, 1, 3]]  # rows run to the head, slices to the back
    turned = SUVVolume(np.swapaxes(array, 0, 1), Grid.from_ijk_to_lps(matrix, shape_kji=np.swapaxes(array, 0, 1).shape))
    straight = SUVVolume(array, grid)
    for find in (find_liver, find_aorta):
        first, second = (find(image, find_body(image)) for image in (straight, turned))
        assert first is not None
        assert second is not None
        assert np.linalg.norm(np.subtract(first.centre_lps_mm, second.centre_lps_mm)) < 40
        assert second.mean_suv == pytest.approx(first.mean_suv, rel=0.05)


def test_a_cold_or_patchy_liver_is_not_taken_for_a_reference(a_body):
    liver = a_body.object("liver").mask
    rng = np.random.default_rng(2)
    for changed in (0.4, rng.uniform(0.5, 8.0, a_body.grid.shape_kji)):
        array = np.where(liver, changed, a_body.activity_suv).astype(np.float32)
        image = SUVVolume(array, a_body.grid)
        found = find_liver(image, find_body(image))
        assert found is None or not liver[a_body.grid.nearest_voxel_kji(found.centre_lps_mm)]
        assert found is None


def test_the_peak_by_which_percist_judges_is_that_of_the_measures(a_body, a_body_image):
    request = request_candidates(a_body_image, parse_candidate_rule("percist:liver=-66,-20,-10"))
    nodule = a_body.object("lung nodule")
    (lesion,) = (item for item in request.lesions if nodule.mask[a_body.grid.nearest_voxel_kji(item.prompts[0].lps_mm)])
    measured = compute_measures(a_body_image, nodule.mask)
    assert lesion.facts["focus_peak_suvbw_g_per_ml"] == pytest.approx(measured.suv_peak, rel=1e-6)
    assert lesion.facts["is_measurable_by_percist"] is True

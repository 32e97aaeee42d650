import pytest

from SegAnyPETLib.batch.prompting.candidate_rule import parse_candidate_rule
from SegAnyPETLib.batch.prompting.candidates import request_candidates
from SegAnyPETLib.geometry import VoxelBox
from SegAnyPETLib.suv import SUVVolume

ORGANS = {"brain": "brain", "bladder": "urinary bladder", "left kidney": "kidney", "right kidney": "kidney"}
SEPARATE_LESIONS = ["lung nodule", "liver metastasis", "lobulated nodal mass", "necrotic thigh mass", "bone metastasis"]


@pytest.fixture(scope="session", params=["suv:4.0", "percent:41:2.5", "percist"])
def candidates(request, a_body_image):
    return request_candidates(a_body_image, parse_candidate_rule(request.param)).lesions


def clicked_in(lesions, phantom, name):
    mask = phantom.object(name).mask
    return [item for item in lesions if mask[phantom.grid.nearest_voxel_kji(item.prompts[0].lps_mm)]]


@pytest.mark.parametrize("name", ORGANS)
def test_every_candidate_in_an_organ_is_flagged_as_that_organ_and_kept(candidates, a_body, name):
    found = clicked_in(candidates, a_body, name)
    assert found
    assert all((item.physiology or "").startswith(ORGANS[name]) for item in found)


@pytest.mark.parametrize("name", SEPARATE_LESIONS)
def test_every_separate_lesion_is_one_candidate_without_a_flag(candidates, a_body, name):
    (found,) = clicked_in(candidates, a_body, name)
    assert found.physiology is None


def test_the_heart_is_flagged_and_the_lesion_that_touches_it_is_clicked(candidates, a_body):
    assert any((item.physiology or "").startswith("heart") for item in candidates)
    assert clicked_in(candidates, a_body, "lesion at the heart")


def test_the_lesion_at_the_bladder_is_a_candidate_of_its_own_that_the_bladder_keeps_out(candidates, a_body):
    (lesion,) = clicked_in(candidates, a_body, "lesion at the bladder")
    (bladder,) = clicked_in(candidates, a_body, "bladder")
    assert lesion.physiology is None
    assert bladder.keep_apart[a_body.grid.nearest_voxel_kji(lesion.prompts[0].lps_mm)]


def test_labels_are_unique_and_the_largest_comes_first(candidates):
    assert len({item.label for item in candidates}) == len(candidates)
    volumes = [item.facts["focus_volume_above_threshold_ml"] for item in candidates]
    assert volumes == sorted(volumes, reverse=True)


def test_noise_above_the_threshold_in_a_warm_liver_is_flagged_as_hardly_above_its_surroundings(a_body, a_body_image):
    lesions = request_candidates(a_body_image, parse_candidate_rule("percent:41:2.5")).lesions
    noise = clicked_in(lesions, a_body, "liver")
    assert len(noise) > 10
    assert sum((item.physiology or "").startswith("uptake hardly above") for item in noise) >= 0.9 * len(noise)


def test_in_an_image_of_the_chest_only_no_place_is_judged_and_that_is_said(a_body):
    chest = VoxelBox((100, 0, 0), (160, 60, 90))
    image = SUVVolume(a_body.activity_suv[chest.slices], a_body.grid.crop(chest))
    request = request_candidates(image, parse_candidate_rule("suv:4.0"))
    assert request.lesions
    assert all(item.physiology is None for item in request.lesions)
    assert any("less than 40 cm" in note for note in request.notes)

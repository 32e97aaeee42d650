import numpy as np
import pytest
from prompted_studies import balls, oblique_grid

from SegAnyPETLib.batch.prompting import candidates
from SegAnyPETLib.batch.prompting.candidate_rule import parse_candidate_rule
from SegAnyPETLib.batch.prompting.candidates import request_candidates
from SegAnyPETLib.suv import SUVVolume

MIDDLE = np.array([31.0, -52.0, 210.0])
ALONG = np.array([0.6, 0.64, 0.48])  # a unit vector along no axis
THREE_MM = {"shape_kji": (30, 34, 40), "spacing_ijk_mm": (3.1, 2.7, 3.4)}


def candidates_of(image, text):
    return request_candidates(image, parse_candidate_rule(text))


def fact(lesion, start):
    (value,) = (value for name, value in lesion.facts.items() if name.startswith(start))
    return value


@pytest.mark.parametrize(("first_mm", "second_mm", "first_suv", "second_suv"), [(24, 24, 10, 10), (30, 22, 10, 6)])
def test_two_balls_that_touch_become_two_candidates_that_keep_each_other_out(
    first_mm, second_mm, first_suv, second_suv
):
    centres = MIDDLE - ALONG * first_mm / 2, MIDDLE + ALONG * second_mm / 2
    image = balls(
        oblique_grid(**THREE_MM),
        background=0.8,
        fwhm_mm=5.0,
        spheres=[(centres[0], first_mm, first_suv), (centres[1], second_mm, second_suv)],
    )
    request = candidates_of(image, "suv:4.0")
    assert len(request.lesions) == 2
    clicks = [np.asarray(lesion.prompts[0].lps_mm) for lesion in request.lesions]
    for centre in centres:
        nearest = min(range(2), key=lambda n: np.linalg.norm(clicks[n] - centre))
        lesion, other = request.lesions[nearest], request.lesions[1 - nearest]
        assert np.linalg.norm(clicks[nearest] - centre) < 7
        at_click, at_other = (image.grid.nearest_voxel_kji(entry.prompts[0].lps_mm) for entry in (lesion, other))
        assert lesion.keep_apart[at_other]
        assert not lesion.keep_apart[at_click]
        assert lesion.prompts[0].positive
    # What each keeps out is the other: both parts together are all voxels above the threshold.
    together = request.lesions[0].keep_apart ^ request.lesions[1].keep_apart
    np.testing.assert_array_equal(together, image.array >= 4.0)


def test_one_ball_is_one_candidate_clicked_in_its_middle_with_volume_and_threshold_as_facts():
    image = balls(oblique_grid(), background=0.8, fwhm_mm=6.0, spheres=[(MIDDLE, 28, 9)])
    (lesion,) = candidates_of(image, "suv:3.5").lesions
    assert np.linalg.norm(np.subtract(lesion.prompts[0].lps_mm, MIDDLE)) < 4.5
    voxel_ml = 4.1 * 3.7 * 4.6 / 1000
    above = image.array >= np.float32(3.5)
    assert lesion.facts["focus_volume_above_threshold_ml"] == pytest.approx(above.sum() * voxel_ml)
    assert lesion.facts["focus_max_suvbw_g_per_ml"] == pytest.approx(float(image.array.max()))
    assert lesion.facts["focus_threshold_suvbw_g_per_ml"] == 3.5
    assert lesion.keep_apart is None
    assert "SUVbw 3.50 g/ml" in lesion.origin


def test_a_necrotic_mass_stays_one_and_is_clicked_in_its_rim():
    image = balls(
        oblique_grid(), background=0.8, fwhm_mm=5.0, spheres=[(MIDDLE, 60, 10), (MIDDLE + np.array([4, -3, 2]), 30, 1)]
    )
    (lesion,) = candidates_of(image, "suv:4.0").lesions
    assert image.array[image.grid.nearest_voxel_kji(lesion.prompts[0].lps_mm)] >= 7.0


def test_no_focus_gives_an_empty_request_with_the_rule():
    grid = oblique_grid()
    request = candidates_of(SUVVolume(np.full(grid.shape_kji, 0.9, np.float32), grid), "suv:4.0")
    assert request.lesions == ()
    assert "SUVbw 4.00 g/ml or more" in request.rule
    assert "No focus" in " ".join(request.notes)
    assert request.facts["foci_found"] == 0


def test_a_percentage_is_of_each_focus_maximum_but_not_below_the_floor():
    far = ALONG * 25
    image = balls(oblique_grid(), background=0.5, fwhm_mm=5.0, spheres=[(MIDDLE - far, 26, 12), (MIDDLE + far, 26, 4)])
    hot, faint = sorted(candidates_of(image, "percent:41:2.5").lesions, key=lambda item: -fact(item, "focus_max"))
    assert fact(hot, "focus_threshold") == pytest.approx(0.41 * float(image.array.max()))
    assert fact(faint, "focus_threshold") == 2.5  # 41 % of about 4 lies below the floor
    inside_hot = image.array >= np.float32(0.41) * image.array.max()
    assert hot.facts["focus_volume_above_threshold_ml"] == pytest.approx(
        inside_hot.sum() * image.grid.voxel_volume_ml, rel=0.02
    )


def test_a_lesion_that_a_hotter_organ_hides_below_its_own_percentage_is_found_all_the_same():
    organ, lesion = MIDDLE - ALONG * 8, MIDDLE + ALONG * 27  # 48 mm and 22 mm wide, touching
    image = balls(oblique_grid(**THREE_MM), background=0.6, fwhm_mm=5.0, spheres=[(organ, 48, 16), (lesion, 22, 6)])
    clicks = [entry.prompts[0].lps_mm for entry in candidates_of(image, "percent:41:2.5").lesions]
    assert min(np.linalg.norm(np.subtract(click, lesion)) for click in clicks) < 8


def test_a_speck_of_noise_is_left_out_and_counted():
    grid = oblique_grid()
    array = np.full(grid.shape_kji, 0.8, np.float32)
    array[5, 7, 9] = 6.0
    request = candidates_of(SUVVolume(array, grid), "suv:4.0")
    assert request.lesions == ()
    assert request.facts["foci_left_out_small_or_faint"] == 1
    assert any("1 part(s)" in note for note in request.notes)


def test_of_too_many_foci_those_with_most_uptake_are_kept_and_the_others_are_listed(monkeypatch):
    monkeypatch.setattr(candidates, "MOST_CANDIDATES", 3)
    offsets = [(-35, -30, 0), (0, -30, 0), (35, -30, 0), (-35, 20, 0), (20, 25, 0)]
    sizes = [14, 16, 18, 20, 22]
    image = balls(
        oblique_grid(),
        background=0.5,
        fwhm_mm=5.0,
        spheres=[(MIDDLE + offset, size, 9) for offset, size in zip(offsets, sizes, strict=True)],
    )
    request = candidates_of(image, "suv:3.0")
    assert len(request.lesions) == 3
    clicked = [np.asarray(lesion.prompts[0].lps_mm) for lesion in request.lesions]
    assert [min(range(5), key=lambda n: np.linalg.norm(MIDDLE + offsets[n] - at)) for at in clicked] == [4, 3, 2]
    (note,) = (note for note in request.notes if "are segmented" in note)
    assert "5 foci were found; the 3" in note
    assert note.count("SUVmax") == 2


def test_the_same_image_gives_the_same_foci_however_its_axes_are_stored():
    spheres = [(MIDDLE - ALONG * 12, 24, 10), (MIDDLE + ALONG * 12, 24, 8)]
    image = balls(oblique_grid(**THREE_MM), background=0.8, fwhm_mm=5.0, spheres=spheres)
    matrix = image.grid.ijk_to_lps.copy()
    matrix[:3, 3] = image.grid.kji_to_lps((0, 0, image.grid.shape_kji[2] - 1))
    matrix[:3, 0] *= -1
    flipped = SUVVolume(image.array[:, :, ::-1], type(image.grid).from_ijk_to_lps(matrix, shape_kji=image.array.shape))
    first, second = (candidates_of(one, "suv:4.0") for one in (image, flipped))
    volumes = [[round(fact(item, "focus_volume"), 6) for item in request.lesions] for request in (first, second)]
    assert len(volumes[0]) == 2
    np.testing.assert_allclose(volumes[0], volumes[1], rtol=0.1)

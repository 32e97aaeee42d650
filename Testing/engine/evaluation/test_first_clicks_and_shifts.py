"""Where first clicks go, and what another scanner's image is, on an oblique grid of uneven spacing."""

import numpy as np
import pytest
from scipy import ndimage
from scripted_method import GRID, AnImage, Painter, a_box

from SegAnyPETLib.errors import InputError
from SegAnyPETLib.evaluation import Case, EvaluationProtocol, EvaluationResult, Shift, evaluate_case
from SegAnyPETLib.evaluation.first_clicks import place_first_click
from SegAnyPETLib.evaluation.shifts import see

MIDDLE = (10, 11, 14)


@pytest.fixture
def a_case():
    reference = a_box((4, 17), (8, 15), (10, 19))
    values = np.where(reference, 6.0, 0.8).astype(np.float32)
    return Case("CASE_007", AnImage(values, GRID), reference)


def clicks(case, kind, **options):
    return [place_first_click(case, kind=kind, **{"jitter_mm": 5.0, "seed": seed} | options) for seed in range(40)]


@pytest.mark.parametrize("jitter_mm", [5.0, 10.0])
def test_a_jittered_click_lies_so_far_from_the_middle_but_for_rounding(a_case, jitter_mm):
    found = np.array(clicks(a_case, "jittered", jitter_mm=jitter_mm))
    away_mm = np.linalg.norm((found - MIDDLE) * GRID.spacing_kji_mm, axis=1)
    half_diagonal_mm = np.linalg.norm(GRID.spacing_kji_mm) / 2
    assert np.abs(away_mm - jitter_mm).max() <= half_diagonal_mm
    assert (found.min(axis=0) < MIDDLE).all()
    assert (found.max(axis=0) > MIDDLE).all()


def test_a_jittered_click_may_miss_the_object_but_not_the_image(a_case):
    found = clicks(a_case, "jittered", jitter_mm=60.0)
    assert any(not a_case.reference[kji] for kji in found)
    assert all(0 <= index < size for kji in found for index, size in zip(kji, GRID.shape_kji, strict=True))


def test_an_outside_click_touches_the_object_with_a_face(a_case):
    for k, j, i in clicks(a_case, "outside"):
        assert not a_case.reference[k, j, i]
        beyond = [max(4 - k, k - 16, 0), max(8 - j, j - 14, 0), max(10 - i, i - 18, 0)]
        assert sorted(beyond) == [0, 0, 1]


def test_no_outside_click_where_the_object_fills_the_image(a_case):
    full = Case("CASE_007", a_case.image, np.ones(GRID.shape_kji, bool))
    with pytest.raises(InputError, match="fills the image"):
        place_first_click(full, kind="outside", jitter_mm=5.0, seed=0)


def test_repeats_draw_what_the_following_seeds_draw_and_are_averaged_per_case(a_case):
    protocol = EvaluationProtocol(clicks=1, first_click="random", seed=3, repeats=2)
    half, other = a_box((4, 17), (8, 15), (10, 16)), a_box((4, 17), (8, 15), (10, 13))  # Dice 12/15 and 6/12
    painters = [Painter([half]), Painter([other])]
    second = Case("CASE_008", a_case.image, a_case.reference)
    results = [
        *(evaluate_case(painter, a_case, protocol=protocol, repeat=n) for n, painter in enumerate(painters)),
        evaluate_case(Painter([a_case.reference]), second, protocol=protocol),
    ]
    alone = evaluate_case(Painter([half]), a_case, protocol=EvaluationProtocol(1, "random", seed=4))
    assert results[1].clicks[0].kji == alone.clicks[0].kji
    estimate = EvaluationResult(protocol, tuple(results)).estimate_after(1, "dice")
    assert estimate.count == 2
    assert estimate.mean == pytest.approx((0.65 + 1.0) / 2)


def test_a_click_that_is_not_drawn_cannot_be_repeated():
    with pytest.raises(InputError, match="not drawn"):
        EvaluationProtocol(first_click="hottest", repeats=2)


@pytest.mark.parametrize("text", ["blur", "blur:x", "blur:0", "blur:inf", "suv:-1", "tilt:3", "blur:nan"])
def test_a_shift_that_means_nothing_is_refused(text):
    with pytest.raises(InputError, match="Expected a shift"):
        Shift.parse(text)


def test_suv_is_multiplied(a_case):
    seen = see(a_case.image, Shift.parse("suv:0.8"), name="A", seed=0)
    np.testing.assert_allclose(seen.image.array, a_case.image.array * 0.8, rtol=1e-6)


def test_blur_has_the_stated_width_in_mm_along_every_axis():
    point = np.zeros((41, 41, 41), dtype=np.float32)
    point[20, 20, 20] = 1.0
    from dataclasses import replace

    seen = see(AnImage(point, replace(GRID, shape_kji=point.shape)), Shift("blur", 20.0), name="A", seed=0)
    for axis, spacing in enumerate(GRID.spacing_kji_mm):
        profile = seen.image.array.sum(axis=tuple(other for other in range(3) if other != axis))
        sigma_mm = np.sqrt(np.sum(profile * (np.arange(41) - 20.0) ** 2)) * spacing
        assert 2.3548 * sigma_mm == pytest.approx(20.0, rel=0.03)


def test_noise_has_the_stated_size_at_liver_uptake_and_depends_on_seed_and_name():
    from dataclasses import replace

    flat = AnImage(np.full((40, 44, 48), 2.2, np.float32), replace(GRID, shape_kji=(40, 44, 48)))
    first, again, other_seed, other_name = (
        see(flat, Shift("noise", 0.15), name=name, seed=seed).image.array
        for name, seed in (("A", 1), ("A", 1), ("A", 2), ("B", 1))
    )
    assert first.std() / 2.2 == pytest.approx(0.15, rel=0.05)
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other_seed)
    assert not np.allclose(first, other_name)


def test_noise_takes_negative_values():
    image = AnImage(np.full(GRID.shape_kji, -0.1, np.float32), GRID)
    assert np.isfinite(see(image, Shift("noise", 0.15), name="A", seed=0).image.array).all()


@pytest.mark.parametrize("edge_mm", [2.0, 6.0])
def test_other_voxels_keep_every_place_in_the_patient(edge_mm):
    k, j, i = np.meshgrid(*(np.arange(n) for n in GRID.shape_kji), indexing="ij")
    lps = GRID.kji_to_lps(np.stack([k, j, i], axis=-1))
    ramp = (lps @ (0.02, -0.03, 0.01)).astype(np.float32)
    seen = see(AnImage(ramp, GRID), Shift("voxel", edge_mm), name="A", seed=0)
    grid = seen.image.grid
    assert grid.spacing_kji_mm == pytest.approx((edge_mm,) * 3)
    for kji in ((0, 0, 0), (19, 21, 25), (10, 11, 13), (3, 17, 8)):
        at = seen.seen_voxel(kji)
        offset = grid.lps_to_kji(GRID.kji_to_lps(kji)) - at
        assert np.abs(offset).max() <= 0.5 + 1e-6
    inner = tuple(slice(4, -4) for _ in range(3))
    k, j, i = np.meshgrid(*(np.arange(n) for n in grid.shape_kji), indexing="ij")
    expected = grid.kji_to_lps(np.stack([k, j, i], axis=-1)) @ (0.02, -0.03, 0.01)
    np.testing.assert_allclose(seen.image.array[inner], expected[inner], atol=1e-4)


def test_a_mask_on_other_voxels_comes_back_where_it_was(a_case):
    seen = see(a_case.image, Shift("voxel", 2.0), name="A", seed=0)
    back = seen.on_case(seen.image.array > 3.4)
    assert back.shape == GRID.shape_kji
    assert (back ^ a_case.reference).sum() <= 0.05 * a_case.reference.sum()
    eroded = ndimage.binary_erosion(a_case.reference)
    assert back[eroded].all()


class Grower:
    """Answers with everything hot, and notes image and clicks."""

    def start(self, image):
        self.image = image
        self.clicks = []

    def click(self, kji, *, positive):
        self.clicks.append((kji, positive))
        return self.image.array > 3.4, None


def test_a_shifted_image_is_seen_by_all_methods_and_figures_stay_on_the_case(a_case):
    method, beside = Grower(), Grower()
    protocol = EvaluationProtocol(clicks=2, shift=Shift("voxel", 2.0))
    result = evaluate_case(method, a_case, protocol=protocol, beside={"other": beside})
    assert method.image.grid.spacing_kji_mm == beside.image.grid.spacing_kji_mm == (2.0, 2.0, 2.0)
    assert method.clicks == beside.clicks
    assert result.clicks[0].kji == MIDDLE
    assert result.after(1).dice > 0.95
    assert result.dice_beside("other", 1) == result.after(1).dice


def test_methods_beside_get_the_clicks_that_correct_the_evaluated_one(a_case):
    half = a_box((4, 17), (8, 15), (10, 16))
    beside = Painter([a_case.reference, half, half])
    protocol = EvaluationProtocol(clicks=3)
    result = evaluate_case(Painter([half, half, half]), a_case, protocol=protocol, beside={"other": beside})
    assert beside.clicks == [(MIDDLE, True), *[(result.clicks[1].kji, True)] * 2]
    assert result.beside["other"] == pytest.approx((1.0, 0.8, 0.8))
    lead = EvaluationResult(protocol, (result,)).estimate_of_lead("other", 1)
    assert lead.mean == pytest.approx(-0.2)

"""Probability, interval, entropy and hint against logits written down by hand, and through a session."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from pet_phantoms import Volume, blurred_ball, dice, ellipsoid, hot, oblique_grid, voxel_centres_lps
from rule_model import RuleModel

from SegAnyPETLib.geometry import Grid, VoxelBox
from SegAnyPETLib.model.calibration import Calibration, PromptCalibration, ScoreMap
from SegAnyPETLib.session import InteractiveSession, Point
from SegAnyPETLib.session.click_hint import next_click_hint
from SegAnyPETLib.session.confidence import Temperatures, entropy_bits, volume_bounds_ml

CENTRE = (-60.0, 110.0, -150.0)


def a_calibration(**changes: object) -> Calibration:
    fields: dict[str, object] = {
        "prompts": (PromptCalibration(1, 2.0, 3.0, 0.5), PromptCalibration(3, 1.0, 1.0, 0.0)),
        "score": ScoreMap(intercept=0.0, sharpness=1.0),
        "interval_level": 0.25,
        "coverage": 0.9,
        "conditions": "by hand",
    }
    return Calibration(**(fields | changes))


class CalibratedModel(RuleModel):
    """The rule model with a calibration in its entry."""

    def __init__(self, calibration: Calibration | None) -> None:
        super().__init__()
        self.spec = SimpleNamespace(preprocessing=self.spec.preprocessing, calibration=calibration)


def predicted(model: RuleModel, image: Volume, *clicks: Point):
    session = InteractiveSession(model)
    session.set_image(image)
    for click in clicks:
        session.add(click)
    return session.predict()


def a_centre(grid: Grid) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in grid.kji_to_lps((20, 26, 30)))
    return x, y, z


def test_a_model_without_calibration_says_so_and_gives_its_own_figures():
    grid = oblique_grid()
    prediction = predicted(RuleModel(), blurred_ball(grid, a_centre(grid), 22.0), Point(a_centre(grid)))
    assert not prediction.is_calibrated
    assert prediction.volume_interval_ml is None
    assert prediction.score == prediction.soft_dice


def test_temperatures_keep_the_mask_and_pull_each_side_towards_one_half():
    grid = oblique_grid()
    image = blurred_ball(grid, a_centre(grid), 22.0)
    raw = predicted(CalibratedModel(None), image, Point(a_centre(grid)))
    calibrated = predicted(CalibratedModel(a_calibration()), image, Point(a_centre(grid)))
    assert calibrated.is_calibrated
    np.testing.assert_array_equal(calibrated.probability >= 0.5, calibrated.mask)
    odds_raw = raw.probability.astype(np.float64) / (1.0 - raw.probability)
    odds = calibrated.probability.astype(np.float64) / (1.0 - calibrated.probability)
    seen = (raw.probability > 0.01) & (raw.probability < 0.99)
    # dividing a logit by T takes the T-th root of the odds: 2 inside, 3 outside
    inside, outside = seen & raw.mask, seen & ~raw.mask
    assert inside.sum() > 100 < outside.sum()
    np.testing.assert_allclose(odds[inside], odds_raw[inside] ** (1 / 2), rtol=1e-3)
    np.testing.assert_allclose(odds[outside], odds_raw[outside] ** (1 / 3), rtol=1e-3)


def test_what_nobody_clicked_is_not_probable_nor_are_its_surroundings():
    grid = oblique_grid(shape_kji=(40, 52, 90))
    here, there = (grid.kji_to_lps(kji) for kji in ((20, 26, 24), (20, 26, 52)))
    both = np.maximum(blurred_ball(grid, here, 15.0).array, blurred_ball(grid, there, 15.0).array)
    prediction = predicted(RuleModel(), Volume(both, grid), Point(tuple(map(float, here))))
    distance = np.linalg.norm(voxel_centres_lps(grid) - there, axis=-1)
    assert prediction.probability[distance < 25.0].max() == 0.0
    assert prediction.probability[prediction.mask].min() >= 0.5
    assert (prediction.probability[~prediction.mask] > 0.05).any(), "the border of what was clicked stays doubtful"


def test_entropy_is_one_bit_at_one_half_and_none_where_certain():
    p = np.array([0.0, 0.11, 0.5, 0.89, 1.0], dtype=np.float32)
    # H(0.11) = 0.4999 bit, Cover and Thomas, Elements of Information Theory
    np.testing.assert_allclose(entropy_bits(p), [0.0, 0.4999, 1.0, 0.4999, 0.0], atol=1e-4)
    assert entropy_bits(p).dtype == np.float32


def test_the_uncertainty_lies_on_the_image_around_the_mask():
    grid = oblique_grid()
    prediction = predicted(RuleModel(), blurred_ball(grid, a_centre(grid), 22.0), Point(a_centre(grid)))
    distance = np.linalg.norm(voxel_centres_lps(grid) - a_centre(grid), axis=-1)
    assert prediction.uncertainty.shape == grid.shape_kji
    most = distance[prediction.uncertainty > 0.8]
    assert 17.0 < most.min() < most.max() < 27.0


def test_volumes_of_high_and_low_probability_are_counted_at_calibrated_logits():
    # p >= 0.75 needs a logit of 2 ln 3 = 2.197, p >= 0.25 one of -3 ln 3 = -3.296
    logits = np.array([[[5.0, 2.2, 2.1, -3.2, -3.4, -np.inf]]], dtype=np.float32)
    low, high = volume_bounds_ml(logits, Temperatures(2.0, 3.0), level=0.25, voxel_ml=0.5)
    assert (low, high) == (1.0, 2.0)
    assert volume_bounds_ml(logits[..., 2:], Temperatures(2.0, 3.0), level=0.25, voxel_ml=0.5)[0] == 0.5


def test_the_interval_holds_the_mask_and_widens_by_its_margin():
    grid = oblique_grid()
    image = blurred_ball(grid, a_centre(grid), 22.0)
    wide, plain = (
        predicted(
            CalibratedModel(a_calibration(prompts=(PromptCalibration(1, 1.0, 1.0, m),))), image, Point(a_centre(grid))
        )
        for m in (math.log(2.0), 0.0)
    )
    low, high = plain.volume_interval_ml
    assert low < plain.volume_ml < high
    assert wide.volume_interval_ml == pytest.approx((low / 2.0, high * 2.0))
    # a margin far below zero cannot push the mask's own volume out
    tight = predicted(
        CalibratedModel(a_calibration(prompts=(PromptCalibration(1, 1.0, 1.0, -9.0),))), image, Point(a_centre(grid))
    )
    assert tight.volume_interval_ml == (tight.volume_ml, tight.volume_ml)


def test_corrections_are_those_of_the_number_of_prompts():
    calibration = a_calibration()
    assert [calibration.after(n).from_prompts for n in (1, 2, 3, 40)] == [1, 1, 3, 3]


def test_the_score_is_the_fitted_expected_dice():
    # logit(0.8) = ln 4; 0.5 + 2 ln 4 - 0.1 ln 3 + 0.2 ln 10 = 3.62323
    score = ScoreMap(intercept=0.5, sharpness=2.0, prompts=-0.1, volume=0.2)
    assert score.expected_dice(0.8, prompts=3, volume_ml=10.0) == pytest.approx(1 / (1 + math.exp(-3.62323)), abs=1e-5)
    assert score.expected_dice(0.8, prompts=3, volume_ml=0.0) == 0.0
    assert score.expected_dice(0.9, prompts=3, volume_ml=10.0) > score.expected_dice(0.8, prompts=3, volume_ml=10.0)


def test_the_hint_points_into_the_thick_doubtful_place_and_not_at_the_thin_border():
    grid = oblique_grid(shape_kji=(30, 34, 60))
    probability = np.zeros(grid.shape_kji, dtype=np.float32)
    probability[8:22, 8:22, 4:24] = 0.3  # a thin doubtful shell around something certain
    probability[9:21, 9:21, 5:23] = 1.0
    probability[12:19, 14:19, 40:48] = 0.4
    hint = next_click_hint(probability, VoxelBox.of_shape(grid.shape_kji), grid)
    k, j, i = grid.nearest_voxel_kji(hint.lps_mm)
    assert (12 <= k < 19, 14 <= j < 19, 40 <= i < 48) == (True, True, True)
    assert not hint.positive
    assert hint.probability == pytest.approx(0.4)
    part_ml = 7 * 5 * 8 * 0.4 * 3.1 * 2.7 * 4.2 / 1000
    assert 0.4 * part_ml < hint.expected_error_ml < part_ml, "what is near counts most, no more than all"


def test_the_hint_is_on_the_image_also_when_the_decoded_part_is_not_all_of_it():
    grid = oblique_grid(shape_kji=(30, 34, 60))
    box = VoxelBox((5, 11, 17), (15, 21, 31))
    probability = np.zeros(box.shape_kji, dtype=np.float32)
    probability[3, 4, 9] = 0.7
    hint = next_click_hint(probability, box, grid)
    assert tuple(grid.nearest_voxel_kji(hint.lps_mm)) == (8, 15, 26)
    assert hint.positive


def test_nothing_doubtful_gives_no_hint():
    grid = oblique_grid()
    certain = np.zeros(grid.shape_kji, dtype=np.float32)
    certain[10:20, 10:20, 10:20] = 1.0
    assert next_click_hint(certain, VoxelBox.of_shape(grid.shape_kji), grid) is None
    assert next_click_hint(certain[:0], VoxelBox((0, 0, 0), (0, 0, 0)), grid) is None


def test_following_the_hint_helps_more_than_a_click_anywhere_in_the_mask():
    """Beside the lesion lies hot physiology that the rule takes in, less surely; the truth answers each click."""
    grid = oblique_grid()
    centre = a_centre(grid)
    beside = tuple(a + b for a, b in zip(centre, (27.0, 8.0, 0.0), strict=True))
    lesion, organ = ellipsoid(grid, centre, (16.0, 18.0, 20.0)), ellipsoid(grid, beside, (14.0, 12.0, 16.0))
    image = hot(grid, lesion)
    image.array[organ & ~lesion] = 6.0  # just above the rule's threshold of 5

    def dice_after(place: tuple[float, float, float]) -> float:
        at = tuple(grid.nearest_voxel_kji(place))
        return dice(predicted(RuleModel(), image, Point(centre), Point(place, positive=bool(lesion[at]))).mask, lesion)

    first = predicted(RuleModel(), image, Point(centre))
    rng = np.random.default_rng(3)
    places = grid.kji_to_lps(rng.permutation(np.argwhere(first.mask))[:12])
    anywhere = np.mean([dice_after(tuple(map(float, place))) for place in places])
    followed = dice_after(first.next_click_hint.lps_mm)
    assert organ[tuple(grid.nearest_voxel_kji(first.next_click_hint.lps_mm))]
    assert followed > dice(first.mask, lesion) + 0.03
    assert followed > anywhere + 0.02

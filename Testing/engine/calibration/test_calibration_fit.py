"""The fits against cases drawn from a law that is known, so that what must come out is known too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from SegAnyPETLib.calibration.expected_dice import describe_scores, fit_score
from SegAnyPETLib.calibration.fitting import Choices, choose, fit_calibration, leave_folds_out
from SegAnyPETLib.calibration.interval import conformal_margin
from SegAnyPETLib.calibration.observation import BINS, CENTRES, Observation
from SegAnyPETLib.calibration.reliability import fit_temperatures, measure_reliability
from SegAnyPETLib.errors import InputError
from SegAnyPETLib.session.confidence import Temperatures


def an_observation(
    case: int = 1,
    *,
    click: int = 1,
    voxels: int = 100_000,
    inside_t: float = 2.0,
    outside_t: float = 1.0,
    volume_factor: float = 1.0,
    dice: float = 0.8,
    soft_dice: float = 0.9,
) -> Observation:
    """Logits spread evenly over -6 to 6; a voxel belongs to the reference with sigmoid(logit / temperature)."""
    both = np.where(np.abs(CENTRES) < 6, voxels // BINS, 0)
    share = 1 / (1 + np.exp(-CENTRES / np.where(CENTRES > 0, inside_t, outside_t)))
    inside = np.round(both * share).astype(np.int64)
    mask_voxels = int(both[CENTRES > 0].sum())
    return Observation(
        case=f"CASE_{case:03d}",
        fold=case % 5,
        click=click,
        inside=inside,
        outside=both - inside,
        absent=(0, 0),
        near=both,
        voxel_ml=0.05,
        mask_voxels=mask_voxels,
        reference_voxels=round(mask_voxels * volume_factor),
        dice=dice,
        soft_dice=soft_dice,
    )


def test_temperatures_that_made_the_data_are_found_again():
    found = fit_temperatures([an_observation(inside_t=2.0, outside_t=0.7)], two_sided=True)
    assert found.inside == pytest.approx(2.0, rel=0.02)
    assert found.outside == pytest.approx(0.7, rel=0.03)
    assert fit_temperatures([an_observation(inside_t=1.5, outside_t=1.5)], two_sided=False).inside == pytest.approx(
        1.5, rel=0.02
    )


def test_each_case_weighs_the_same_however_large():
    large, small = an_observation(1, inside_t=1.0, voxels=10_000_000), an_observation(2, inside_t=3.0, voxels=100_000)
    alike = fit_temperatures([large, small], two_sided=True)
    swapped = fit_temperatures(
        [an_observation(1, inside_t=1.0, voxels=100_000), an_observation(2, inside_t=3.0, voxels=10_000_000)],
        two_sided=True,
    )
    assert alike.inside == pytest.approx(swapped.inside, rel=0.02)


def test_true_probabilities_have_no_calibration_error_and_overconfident_ones_theirs():
    observation = an_observation(inside_t=2.0, outside_t=2.0)
    assert measure_reliability([observation], lambda _: Temperatures(2.0, 2.0)).expected_calibration_error < 0.002
    # the mean of |sigmoid(z) - sigmoid(z / 2)| for z even over -6 to 6, by hand from the antiderivative ln(1 + e^z):
    # (2 / 12) [ln(1 + e^z) - 2 ln(1 + e^(z / 2))] from 0 to 6
    expected = (np.log1p(np.exp(6)) - np.log(2) - 2 * (np.log1p(np.exp(3)) - np.log(2))) / 6
    found = measure_reliability([observation], lambda _: Temperatures()).expected_calibration_error
    assert found == pytest.approx(expected, abs=0.003)


def test_lesion_where_nothing_was_decoded_counts_as_probability_zero():
    missed = replace(an_observation(), absent=(50_000, 50_000))
    curve = measure_reliability([missed], lambda _: Temperatures(2.0, 1.0))
    assert curve.frequency[0] > 0.3
    assert curve.share.sum() == pytest.approx(1.0)


def test_the_score_finds_the_law_that_made_the_dice():
    rng = np.random.default_rng(5)
    soft = rng.uniform(0.5, 0.99, size=60)
    dice = 1 / (1 + np.exp(-(-1.0 + 0.8 * np.log(soft / (1 - soft)))))
    observations = [an_observation(n, dice=d, soft_dice=s) for n, (d, s) in enumerate(zip(dice, soft, strict=True))]
    score = fit_score(observations, features=("sharpness",))
    assert score.intercept == pytest.approx(-1.0, abs=0.05)
    assert score.sharpness == pytest.approx(0.8, abs=0.03)
    assert (score.prompts, score.volume) == (0.0, 0.0)
    found = [score.expected_dice(o.soft_dice, prompts=1, volume_ml=o.mask_ml) for o in observations]
    figures = describe_scores(observations, found)
    assert figures["mean_absolute_error"] < 0.01
    assert figures["spearman"] > 0.99


def test_the_margin_is_the_order_statistic_of_split_conformal():
    # 19 cases at 90 %: ceil(0.9 * 20) = 18, the 18th smallest
    observations = [an_observation(n) for n in range(19)]
    scores = np.random.default_rng(1).permutation(19).astype(float)
    assert conformal_margin(observations, scores, coverage=0.9) == 17.0
    # of too few cases the largest
    assert conformal_margin(observations[:5], [0.1, 0.5, 0.2, 0.3, 0.4], coverage=0.9) == 0.5


def test_many_clicks_of_one_case_do_not_outvote_the_others():
    observations = [an_observation(1, click=n) for n in range(1, 101)] + [an_observation(n) for n in range(2, 20)]
    scores = [5.0] * 100 + [float(n) for n in range(18)]
    # one case of 19 has the value 5: the same order statistic as with one click each
    assert conformal_margin(observations, scores, coverage=0.9) == 16.0


def test_intervals_cover_new_cases_as_often_as_they_say():
    rng = np.random.default_rng(11)
    factors = np.exp(rng.normal(0.0, 0.6, size=200))
    observations = [an_observation(n, volume_factor=f) for n, f in enumerate(factors)]
    held_out = leave_folds_out(observations, Choices(), coverage=0.8)
    covered = np.mean([one.is_covered for one in held_out])
    assert covered == pytest.approx(0.8, abs=0.06)  # two standard errors of 200 cases


def test_two_temperatures_are_chosen_where_the_sides_differ_and_one_where_not():
    clicks = (1, 2, 3)
    differing = [an_observation(n, click=c, inside_t=3.0, outside_t=0.6) for n in range(6) for c in clicks]
    choices, tried = choose(differing, coverage=0.8)
    assert choices.two_sided
    assert tried["surprise_nats"]["two temperatures"] < tried["surprise_nats"]["one temperature"]
    calibration = fit_calibration(differing, choices, coverage=0.8, conditions="made up")
    assert [entry.from_prompts for entry in calibration.prompts] == [1, 2, 3]
    assert calibration.after(9).temperature_inside == pytest.approx(3.0, rel=0.05)


def test_cases_of_one_fold_cannot_be_left_out():
    with pytest.raises(InputError, match="two folds"):
        leave_folds_out([an_observation(5), an_observation(10)], Choices(), coverage=0.9)

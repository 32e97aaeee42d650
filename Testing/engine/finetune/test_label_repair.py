"""Careless labels are found, measured and repaired; expected values are worked out by hand or from imposed errors."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from SegAnyPETLib.errors import GeometryError, InputError
from SegAnyPETLib.finetune.config import CPCLConfig
from SegAnyPETLib.finetune.ensemble import combine, entropy_bits
from SegAnyPETLib.finetune.label_noise import KINDS, LabelNoise, add_label_noise
from SegAnyPETLib.finetune.rectification import (
    belief_in_disagreement,
    belief_in_offset,
    disagreement,
    rectify,
)
from SegAnyPETLib.finetune.signed_distance import label_offset_mm, moved_share, signed_distance_mm

SPACING = (3.0, 4.0, 5.0)
SHAPE = (30, 26, 22)
CONFIG = CPCLConfig()
STRICT = CPCLConfig(disagreement_dead_zone=0.05, disagreement_scale=0.1)


def ball(radius_mm, *, centre_mm=(44.0, 51.0, 55.0), spacing=SPACING, shape=SHAPE):
    k, j, i = np.ogrid[: shape[0], : shape[1], : shape[2]]
    place = (k * spacing[0], j * spacing[1], i * spacing[2])
    return sum((axis - middle) ** 2 for axis, middle in zip(place, centre_mm, strict=True)) <= radius_mm**2


def blurred_teacher(truth, *, sigma_mm=4.0):
    """What a good network with a soft border says: the truth through a Gaussian, made steeper."""
    soft = ndimage.gaussian_filter(truth.astype(float), [sigma_mm / s for s in SPACING])
    return combine(np.stack([soft, np.clip(soft * 1.02, 0, 1)]))


def test_the_border_runs_midway_between_voxels():
    mask = np.zeros((9, 3, 3), dtype=bool)
    mask[3:6] = True
    np.testing.assert_allclose(
        signed_distance_mm(mask, spacing_kji_mm=(2.0, 7.0, 7.0))[:, 1, 1], [-5, -3, -1, 1, 3, 1, -1, -3, -5]
    )


def test_a_moved_border_makes_a_larger_ball():
    grown = moved_share(ball(20.0), outward_mm=6.0, spacing_kji_mm=SPACING) > 0.5
    assert 2 * (grown & ball(26.0)).sum() / (grown.sum() + ball(26.0).sum()) > 0.95


@pytest.mark.parametrize("mask", [np.zeros((4, 5, 6), bool), np.ones((4, 5, 6), bool)])
def test_a_mask_without_border_has_no_distance(mask):
    with pytest.raises(GeometryError, match="inside and outside"):
        signed_distance_mm(mask, spacing_kji_mm=SPACING)


def test_entropy_is_one_bit_at_one_half_and_nothing_where_it_is_certain():
    np.testing.assert_allclose(entropy_bits(np.array([0.0, 0.5, 1.0, 0.25])), [0, 1, 0, 0.811278], atol=1e-6)


def test_answers_that_agree_depend_on_no_prompt_and_those_that_differ_do():
    same = combine(np.full((4, 1, 1, 2), 0.3))
    assert same.epistemic_bits.max() == 0
    np.testing.assert_allclose(same.total_bits, same.aleatoric_bits)
    differing = combine(np.array([[[[0.0]]], [[[1.0]]]]))  # each is certain, together they know nothing
    assert (differing.mean, differing.total_bits, differing.aleatoric_bits) == (0.5, 1, 0)
    assert differing.epistemic_bits == 1


@pytest.mark.parametrize("bias_mm", [-8.0, -4.0, 4.0, 8.0])
def test_the_offset_of_labels_that_were_moved_is_found(bias_mm):
    truth, label = ball(26.0), ball(26.0 + bias_mm)
    found = label_offset_mm(label, truth, spacing_kji_mm=SPACING, limit_mm=12.0)
    assert found == pytest.approx(bias_mm, abs=1.2)  # 0.3 voxels of 4 mm
    assert label_offset_mm(truth, truth, spacing_kji_mm=SPACING, limit_mm=12.0) == 0


@pytest.mark.parametrize("bias_mm", [-8.0, -4.0, 4.0, 8.0])
def test_repair_takes_away_most_of_a_cohorts_error(bias_mm):
    truth, label = ball(26.0), ball(26.0 + bias_mm)
    repaired = rectify(
        label,
        blurred_teacher(truth),
        offset_mm=bias_mm,
        usual_disagreement=0.05,
        spacing_kji_mm=SPACING,
        config=CONFIG,
    )
    assert (repaired.target != truth).sum() < 0.4 * (label != truth).sum()
    assert repaired.verdict == "used"
    assert repaired.belief > 0.95
    assert 0 < repaired.target.sum() < repaired.target.size


def test_a_clean_label_stays_and_is_believed():
    truth = ball(26.0)
    repaired = rectify(
        truth, blurred_teacher(truth), offset_mm=0.0, usual_disagreement=0.05, spacing_kji_mm=SPACING, config=CONFIG
    )
    assert (repaired.target != truth).sum() <= 0.01 * truth.sum()
    assert (repaired.belief, repaired.trust) == (0, 0)
    assert set(np.unique(repaired.weight)) <= {0.5, 1.0}


def test_a_label_is_moved_by_less_than_a_voxel_and_the_teacher_stays_out_of_it():
    truth = ball(26.0)
    repaired = rectify(
        truth, blurred_teacher(truth), offset_mm=1.5, usual_disagreement=0.05, spacing_kji_mm=SPACING, config=CONFIG
    )
    at_border = np.abs(signed_distance_mm(truth, spacing_kji_mm=SPACING) - 1.5) < 1e-6  # first voxels inside along k
    np.testing.assert_allclose(repaired.share[at_border], 0.5, atol=1e-6)
    assert repaired.trust == 0


def test_the_teacher_replaces_a_label_that_contradicts_more_than_careful_ones_do():
    truth = ball(26.0)
    half = truth & (np.arange(SHAPE[0])[:, None, None] * SPACING[0] < 44.0)
    arguments = {"offset_mm": 0.0, "spacing_kji_mm": SPACING, "config": STRICT}
    repaired = rectify(half, blurred_teacher(truth), usual_disagreement=0.05, **arguments)
    assert repaired.trust > 0.7
    assert (repaired.target != truth).sum() < 0.4 * (half != truth).sum()
    poor = rectify(half, blurred_teacher(truth), usual_disagreement=0.5, **arguments)  # the teacher is often wrong
    assert (poor.trust, poor.belief) == (0, 0)


def test_a_label_beside_the_lesion_is_left_out_and_one_of_another_size_counts_a_quarter():
    teacher = blurred_teacher(ball(20.0))
    arguments = {"offset_mm": 0.0, "usual_disagreement": 0.05, "spacing_kji_mm": SPACING, "config": CONFIG}
    beside = rectify(ball(10.0, centre_mm=(14.0, 20.0, 20.0)), teacher, **arguments)
    assert (beside.verdict, beside.weight.max()) == ("left out", 0)
    small = rectify(ball(9.0), teacher, **{**arguments, "config": replace(STRICT, least_overlap=0.1)})
    assert small.verdict == "doubtful"
    assert small.weight.max() == 0.25


def test_belief_is_none_in_the_dead_zone_and_grows_beyond_it():
    offsets = [belief_in_offset(mm, CONFIG) for mm in (0.0, 0.5, -0.5, 1.0, 1.5, -3.0)]
    assert offsets[:3] == [0, 0, 0]
    np.testing.assert_allclose(offsets[3:], [1 - np.exp(-0.25), 1 - np.exp(-1), 1 - np.exp(-6.25)])
    shares = [belief_in_disagreement(share, CONFIG) for share in (-0.2, 0.15, 0.3, 0.9)]
    np.testing.assert_allclose(shares[:3], [0, 0, 1 - np.exp(-1)], atol=1e-12)
    assert shares[3] > 0.99


def test_a_missing_part_is_a_contradiction_although_it_is_hardly_an_offset():
    truth = ball(26.0)
    half = truth & (np.arange(SHAPE[0])[:, None, None] * SPACING[0] < 44.0)
    teacher = blurred_teacher(truth)
    assert disagreement(half, teacher, spacing_kji_mm=SPACING, config=CONFIG) > 0.25
    assert disagreement(truth, teacher, spacing_kji_mm=SPACING, config=CONFIG) < 0.05


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_mislabelling_does_what_it_says(kind):
    rng, truth = np.random.default_rng(5), ball(24.0)
    suv = np.where(truth, 5.0, 1.0) * np.random.default_rng(3).uniform(0.9, 1.1, SHAPE)
    amount = {"threshold": 0.6, "part missing": 0.4, "ragged": 2.0}.get(kind, 5.0)
    noise = LabelNoise(kind, amount)
    wrong = add_label_noise(rng, truth, suv.astype(np.float32), noise=noise, spacing_kji_mm=SPACING)
    assert wrong.shape == truth.shape
    assert wrong.dtype == bool
    ratio, shared = wrong.sum() / truth.sum(), (wrong & truth).sum() / truth.sum()
    assert {
        "dilated": ratio > 1.2,
        "eroded": ratio < 0.8,
        "threshold": (suv[wrong] >= 0.6 * suv[truth].max()).all(),
        "shifted": 0.9 < ratio < 1.1 and shared < 0.95,
        "part missing": ratio == shared < 0.8,
        "random size": ratio != 1,
        "ragged": 0.8 < ratio < 1.25 and shared < 1,
    }[kind]


def test_a_mistake_that_would_leave_next_to_nothing_is_not_made():
    truth = ball(7.0)
    noise = LabelNoise("eroded", 20.0)
    left = add_label_noise(
        np.random.default_rng(1), truth, truth.astype(np.float32), noise=noise, spacing_kji_mm=SPACING
    )
    np.testing.assert_array_equal(left, truth)


@pytest.mark.parametrize(("kind", "amount"), [("melted", 1.0), ("dilated", 0.0)])
def test_an_unknown_mistake_is_refused(kind, amount):
    with pytest.raises(InputError, match="Expected one of dilated"):
        LabelNoise(kind, amount)


def test_the_published_line_learns_from_an_empty_label():
    """SegAnyPET's published trainer keeps a label where certain AND where uncertain: nowhere. Ours must not."""
    truth, label = ball(26.0), ball(30.0)
    teacher = blurred_teacher(truth)
    is_unsure = teacher.total_bits > teacher.total_bits.mean()
    published = (label & ~is_unsure) & (~label & is_unsure)
    assert not published.any()
    ours = rectify(label, teacher, offset_mm=4.0, usual_disagreement=0.05, spacing_kji_mm=SPACING, config=CONFIG)
    assert ours.target.any()

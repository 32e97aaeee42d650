"""The losses against hand-made values and MONAI, and the loop on a network of a few weights."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from few_weights import CPU, BrightBalls, FewWeightsNetwork, small_run
from monai.losses import DiceLoss
from torch import nn

from SegAnyPETLib.errors import ModelError
from SegAnyPETLib.finetune.config import CPCLConfig
from SegAnyPETLib.finetune.crops import SYNTHETIC_CASE
from SegAnyPETLib.finetune.learning import repair_labels
from SegAnyPETLib.finetune.loop import Best, learning_rate, start, train
from SegAnyPETLib.finetune.losses import consistency, ramp, weighted_dice_ce
from SegAnyPETLib.finetune.prompt_sets import FollowingClicks, sample_prompt_set, to_points
from SegAnyPETLib.finetune.site_training import why_ended


def trained(**changes):
    settings = small_run(**changes)
    state = start(FewWeightsNetwork(), settings)
    return train(state, BrightBalls(), settings, device=CPU), state


def test_the_loss_with_even_weights_is_monais_dice_and_torchs_cross_entropy():
    rng = torch.Generator().manual_seed(1)
    logits, target = torch.randn(2, 1, 4, 5, 6, generator=rng), (torch.rand(2, 1, 4, 5, 6, generator=rng) > 0.7).float()
    dice = DiceLoss(sigmoid=True, squared_pred=True, smooth_nr=1e-5, smooth_dr=1e-5, reduction="none")(logits, target)
    entropy = nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none").flatten(1).mean(1)
    torch.testing.assert_close(weighted_dice_ce(logits, target), dice.flatten() + entropy)


def test_the_weighted_loss_by_hand():
    logits, target = torch.zeros(1, 1, 1, 1, 2), torch.tensor([[[[[1.0, 0.0]]]]])
    weight = torch.tensor([[[[[1.0, 0.5]]]]])
    # p = 1/2: both = 1 * 1/2; squares = 1 * (1/4 + 1) + 1/2 * 1/4 = 1.375; cross-entropy ln 2 weighted 1 and 1/2.
    expected = (1 - 1.0 / 1.375) + math.log(2) * 1.5 / 2
    assert weighted_dice_ce(logits, target, weight).item() == pytest.approx(expected, abs=1e-4)
    assert weighted_dice_ce(logits, target, torch.zeros_like(weight)).item() == 0


def test_consistency_by_hand():
    answer = consistency(torch.zeros(1, 1, 1, 1, 2), torch.tensor([[[[[0.5, 0.9]]]]]))
    assert answer.item() == pytest.approx(0.08)


def test_repairs_come_to_be_believed_after_the_warm_up():
    shares = [ramp(step, steps=100, warm_up_share=0.25, ramp_share=0.3) for step in (0, 24, 25, 40, 55, 99)]
    np.testing.assert_allclose(shares, [0, 0, math.exp(-5), math.exp(-1.25), 1, 1])


def test_the_rate_rises_and_falls_to_a_tenth():
    settings = small_run(steps=100, warm_up_steps=10, learning_rate=1.0)
    rates = [learning_rate(settings, step) for step in (0, 9, 50, 99)]
    np.testing.assert_allclose(rates, [0.1, 1.0, 0.55, 0.1], atol=0.03)


def test_prompt_sets_lie_inside_the_mask_and_in_the_shell_around_it():
    mask = np.zeros((20, 22, 24), dtype=bool)
    mask[8:13, 9:14, 10:15] = True
    from scipy import ndimage

    away = ndimage.distance_transform_edt(~mask)
    seen = set()
    for seed in range(40):
        placed = sample_prompt_set(np.random.default_rng(seed), mask)
        seen.add(tuple(sorted(label for _place, label in placed)))
        for (*kji, _reach), label in placed:
            distance = away[tuple(int(n) for n in kji)]
            assert distance == 0 if label else 3 <= distance <= 6
    assert len(seen) > 6


def test_sets_of_different_length_are_filled_with_points_that_are_ignored():
    coords, labels = to_points([[((1, 2, 3, 0), 1)], [((4, 5, 6, 0), 1), ((7, 8, 9, 2), 0)]], CPU)
    assert coords.shape == (2, 2, 4)
    assert labels.tolist() == [[1, -1], [1, 0]]


def test_following_clicks_correct_the_error():
    mask = np.zeros((10, 10, 10), dtype=bool)
    mask[3:7, 3:7, 3:7] = True
    clicks = FollowingClicks([np.random.default_rng(2)], [mask], [mask.astype(np.float32)])
    clicks.correct(np.zeros((1, 10, 10, 10), dtype=bool))
    (place, label) = clicks.sets[0][1]
    assert label == 1
    assert mask[tuple(int(n) for n in place[:3])]


@pytest.mark.parametrize("method", ["hq", "plain", "cpcl"])
def test_every_method_learns_balls_from_their_labels_and_twice_the_same(method):
    weights, state = trained(method=method, steps=40)
    again, _ = trained(method=method, steps=40)
    assert state.history[-1]["loss"] < state.history[0]["loss"]
    for name, value in weights.items():
        assert torch.equal(value, again[name])


def test_before_anything_is_repaired_cpcl_learns_all_labels_as_they_are():
    ours, _ = trained(method="cpcl", cpcl=CPCLConfig(warm_up_share=1.0))
    plain, _ = trained(method="plain")
    for name, value in plain.items():
        assert torch.equal(value, ours[name])


class HotCores(BrightBalls):
    """Balls whose uptake falls towards their border; careless labels are of a high threshold."""

    def _crop(self, rng, extra):
        crop = super()._crop(rng, 1.5)  # 3.5 voxels
        middle = np.argwhere(crop.label).mean(axis=0)
        away = np.sqrt(((np.moveaxis(np.indices(crop.label.shape), 0, -1) - middle) ** 2).sum(axis=-1))
        suv = np.where(crop.label, 10 - 2 * away, crop.suv).astype(np.float32)
        return replace(crop, suv=suv, label=crop.label & (suv >= (6 if extra else 0)))


@pytest.mark.parametrize(("source", "is_changed"), [(BrightBalls, False), (HotCores, True)])
def test_only_labels_of_thresholds_that_are_too_high_are_made_whole(source, is_changed):
    found = []
    for dead_zone in (CPCLConfig().level_dead_zone, 1e9):
        cpcl = CPCLConfig(
            fewest_cases=2, least_overlap=0.0, warm_up_share=0.2, ramp_share=0.1, level_dead_zone=dead_zone
        )
        settings = small_run(method="cpcl", steps=12, cpcl=cpcl)
        state = start(FewWeightsNetwork(), settings)
        found.append((train(state, source(), settings, device=CPU)["mix.weight"], state.level.level))
    (weights, level), (as_drawn, _) = found
    assert (level is not None) == is_changed
    assert torch.equal(weights, as_drawn) != is_changed


class CountedBalls(BrightBalls):
    """Remembers how many crops of either kind were asked for."""

    def __init__(self):
        self.counts = set()

    def careful(self, rng, count):
        self.careful_count = count
        return super().careful(rng, count)

    def careless(self, rng, count):
        self.counts.add((self.careful_count, count))
        return super().careless(rng, count)


@pytest.mark.parametrize(
    ("batch", "share", "counts"), [(4, 0.5, (2, 2)), (4, 0.75, (1, 3)), (8, 1 / 3, (6, 2)), (2, 0.1, (1, 1))]
)
def test_a_step_learns_from_so_many_crops_of_either_kind(batch, share, counts):
    source = CountedBalls()
    settings = small_run(method="cpcl", steps=5, batch=batch, careless_share=share)
    train(start(FewWeightsNetwork(), settings), source, settings, device=CPU)
    assert source.counts == {counts}  # before the repairs and after


def test_the_offset_of_the_careless_labels_is_found_while_training():
    _, state = trained(method="cpcl", steps=60, learning_rate=5e-2)
    assert state.history[-1]["offset_mm"] == pytest.approx(4.8, abs=0.8)  # in voxels of 4 mm
    assert state.history[-1]["belief"] > 0.5


def test_repairs_are_the_same_and_believed_in_part_while_they_come_in():
    settings = small_run(method="cpcl", steps=60, learning_rate=5e-2)
    state = start(FewWeightsNetwork(), settings)
    train(state, BrightBalls(), settings, device=CPU)
    rng, balls = np.random.default_rng(5), BrightBalls()
    careful, careless = balls.careful(rng, 4), balls.careless(rng, 4)

    def repaired(**share):
        cohort = copy.deepcopy(state.cohort)
        settled = {"key": (1, 2), "config": settings.cpcl, "device": CPU}
        return repair_labels(state.teacher, careful, careless, cohort, **settled, **share).labels

    for whole, part in zip(repaired(), repaired(share=0.25), strict=True):
        assert whole.belief > 0.5
        assert part.belief == pytest.approx(whole.belief / 4)
        np.testing.assert_array_equal(part.share, whole.share)


@pytest.mark.parametrize(("method", "best", "is_before"), [("cpcl", 2, True), ("cpcl", 3, False), ("plain", 2, False)])
def test_whoever_keeps_weights_from_before_the_repairs_is_told(method, best, is_before):
    settings = small_run(method=method, steps=10)  # two steps of warm-up
    state = start(FewWeightsNetwork(), settings)
    state.step, state.best = 7, Best(0.8, best, {})
    words = why_ended(state, settings, is_stopped=False)
    assert words.startswith(f"It ended at step 7 of 10: validation got no better. The weights of step {best} did best")
    assert ("none was repaired yet" in words) == is_before


def test_made_up_lesions_say_nothing_about_how_a_site_draws():
    class Replayed(BrightBalls):
        def careful(self, rng, count):
            return [replace(crop, case=SYNTHETIC_CASE) for crop in super().careful(rng, count)]

    settings = small_run(method="cpcl", steps=12)
    state = start(FewWeightsNetwork(), settings)
    train(state, Replayed(), settings, device=CPU)
    assert state.cohort.careful == []
    assert len(state.cohort.careless) > 0


def test_the_teacher_follows_the_student_but_is_never_taught():
    settings = small_run(method="cpcl", steps=6)
    state = start(FewWeightsNetwork(), settings)
    before = copy.deepcopy(state.teacher.state_dict())
    train(state, BrightBalls(), settings, device=CPU)
    assert all(parameter.grad is None for parameter in state.teacher.parameters())
    assert any(not torch.equal(value, before[name]) for name, value in state.teacher.state_dict().items())


def test_training_that_was_stopped_goes_on_as_if_it_had_not_been():
    settings = small_run(method="cpcl", steps=10)
    whole = train(start(FewWeightsNetwork(), settings), BrightBalls(), settings, device=CPU)
    state = start(FewWeightsNetwork(), settings)
    train(state, BrightBalls(), settings, device=CPU, after_step=lambda now: now.step == 4)
    assert state.step == 4
    rest = train(state, BrightBalls(), settings, device=CPU)
    for name, value in whole.items():
        assert torch.equal(value, rest[name])


@pytest.mark.parametrize(
    "changes",
    [{"method": "magic"}, {"steps": 0}, {"batch": 1}, {"careless_share": 0.0}, {"careless_share": 1.0}],
)
def test_settings_that_cannot_be_used_are_refused(changes):
    with pytest.raises(ModelError, match="Expected"):
        small_run(**changes)

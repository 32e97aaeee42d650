"""Pieces of a step, memory that fails, early stopping and rates of the loop's groups."""

import pytest
import torch
from few_weights import CPU, BrightBalls, FewWeightsNetwork, small_run

from SegAnyPETLib.errors import DeviceError, SegAnyPETWarning
from SegAnyPETLib.finetune.loop import start, train
from SegAnyPETLib.finetune.memory import Pieces
from SegAnyPETLib.finetune.trained_parts import ParameterGroup


def trained(network=None, **changes):
    settings = small_run(**changes)
    state = start(network or FewWeightsNetwork(), settings)
    return train(state, BrightBalls(), settings, device=CPU), state


def assert_nearly_equal(some, others):
    for name, value in some.items():
        torch.testing.assert_close(value, others[name], atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("method", ["hq", "plain", "cpcl"])
@pytest.mark.parametrize("accumulation", [2, 5])
def test_a_step_in_pieces_is_the_same_step(method, accumulation):
    whole, _ = trained(method=method, batch=5)
    pieces, _ = trained(method=method, batch=5, accumulation=accumulation)
    assert_nearly_equal(whole, pieces)


@pytest.mark.parametrize("method", ["hq", "cpcl"])
def test_memory_that_fails_halves_the_piece_aloud_and_the_result_stays(method):
    whole, _ = trained(method=method)
    with pytest.warns(SegAnyPETWarning) as said:
        less, state = trained(FewWeightsNetwork(room=1), method=method)
    found = [str(one.message).split("does not suffice for ")[1][:18] for one in said]
    assert found == ["4 crops at once; t", "2 crops at once; t"]  # not at every step again
    assert state.history[-1]["at_once"] == 1
    assert_nearly_equal(whole, less)


def test_memory_for_not_even_one_crop_is_an_error():
    with pytest.raises(DeviceError, match="train fewer parts"):
        trained(FewWeightsNetwork(room=0), accumulation=4)


def test_other_errors_are_not_taken_for_failing_memory():
    def fail():
        raise RuntimeError("shapes do not fit")

    pieces = Pieces(4)
    with pytest.raises(RuntimeError, match="shapes"):
        pieces.run(fail)
    assert pieces.crops == 4


@pytest.mark.parametrize(("room", "counts"), [(4, (2, 2)), (3, (2, 2)), (1, (3, 2)), (2, (5, 4))])
def test_pieces_hold_every_crop_once_and_never_too_many(room, counts):
    pieces = Pieces(room).of_both(*counts)
    assert all(len(a) + len(b) <= room for a, b in pieces)
    for count, lists in zip(counts, zip(*pieces, strict=True), strict=True):
        assert [n for piece in lists for n in piece] == list(range(count))


def test_training_ends_when_validation_gets_no_better_and_the_best_is_kept():
    scores = iter([0.5, 0.7, 0.6, 0.7, 0.9])
    seen = []

    def validate(weights):
        seen.append(weights["mix.weight"].clone())
        return next(scores)

    settings = small_run(method="hq", steps=20, validate_every=2, patience=2)
    state = start(FewWeightsNetwork(), settings)
    weights = train(state, BrightBalls(), settings, device=CPU, validate=validate)
    assert state.step == 8
    assert (state.best.score, state.best.step) == (0.7, 4)
    assert torch.equal(weights["mix.weight"], seen[1])
    assert [line["validation"] for line in state.history if "validation" in line] == [0.5, 0.7, 0.6, 0.7]


def test_groups_learn_at_their_own_rates():
    settings = small_run(method="hq", steps=1, learning_rate=1e-2, weight_decay=0.0)
    network = FewWeightsNetwork()
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    groups = [ParameterGroup("a", (network.mix.weight,)), ParameterGroup("b", (network.mix.bias,), 0.1)]
    train(start(network, settings, groups=groups), BrightBalls(), settings, device=CPU)
    moved = {name: (value - before[name]).abs().max().item() for name, value in network.named_parameters()}
    # The first step of Adam is the rate itself, whatever the gradient.
    assert moved["mix.weight"] == pytest.approx(1e-2, rel=1e-3)
    assert moved["mix.bias"] == pytest.approx(1e-3, rel=1e-3)


def test_weights_are_pulled_to_where_they_began():
    settings = {"method": "hq", "steps": 30, "weight_decay": 0.0, "gradient_clip": 1e6}
    began = FewWeightsNetwork().mix.weight.detach()
    free, held = (trained(**settings, pull_to_base=weight)[0]["mix.weight"] for weight in (0.0, 10.0))
    assert (held - began).norm() < 0.5 * (free - began).norm()

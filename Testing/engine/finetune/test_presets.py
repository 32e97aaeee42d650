"""What is chosen for whom, and how long it will take."""

import time

import pytest
import torch
from few_weights import CPU, BrightBalls, FewWeightsNetwork, small_run

from SegAnyPETLib.errors import ModelError
from SegAnyPETLib.finetune.presets import PRESETS, RECIPES, choose_preset, estimate_seconds

GPU = torch.device("cuda")


@pytest.fixture
def a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: True)
    return GPU


@pytest.mark.parametrize(
    ("architecture", "cases", "parts", "rate"),
    [
        # methods.md 5.2, row by row
        ("lite", 3, "decoder", 3e-4),
        ("lite", 12, "full", 3e-4),
        ("lite", 60, "full", 1e-3),
        ("vit_b_ori", 3, "decoder", 1e-4),
        ("vit_b_ori", 12, "lora", 1e-4),
        ("vit_b_ori", 60, "lora", 1e-4),
        ("vit_b_ori", 400, "full", 8e-5),
    ],
)
def test_the_size_of_the_cohort_decides_what_learns(a_gpu, architecture, cases, parts, rate):
    config, chosen, why = choose_preset(
        "balanced", architecture=architecture, careful_cases=cases, careless_cases=0, device=a_gpu
    )
    assert (chosen, config.parts, config.learning_rate) == (parts, parts, rate)
    assert str(cases) in why


def test_without_a_gpu_the_large_network_learns_by_low_rank_changes_at_most(a_gpu):
    def choose(device, cases):
        return choose_preset("quick", architecture="vit_b_ori", careful_cases=cases, careless_cases=0, device=device)

    assert [choose(CPU, cases).parts for cases in (3, 50, 400)] == ["decoder", "lora", "lora"]
    assert "slowly" in choose(CPU, 50).why
    assert (choose(a_gpu, 400).parts, choose(a_gpu, 50).config.lora_rank) == ("full", 16)
    assert choose(CPU, 50).config.accumulation == choose(CPU, 50).config.batch  # one crop in memory at once


@pytest.mark.parametrize(("careful", "careless", "method"), [(5, 0, "hq"), (3, 20, "cpcl"), (2, 20, "plain")])
def test_the_labels_decide_the_method(careful, careless, method):
    config, _, why = choose_preset(
        "quick", architecture="lite", careful_cases=careful, careless_cases=careless, device=CPU
    )
    assert config.method == method
    assert "careful" in why


@pytest.mark.parametrize(
    ("careful", "careless", "share"),
    [
        (10, 10, 1 / 3),  # half of the careful crops are replayed: one of three, and each case as often as others
        (4, 14, 0.5),  # no more, so that a quarter of all crops is replayed
        (60, 1, 0.1),
        (5, 0, 0.1),  # there are none to be drawn
    ],
)
def test_no_case_is_drawn_more_often_than_others_as_far_as_replay_allows(careful, careless, share):
    config, _, _ = choose_preset(
        "quick", architecture="lite", careful_cases=careful, careless_cases=careless, device=CPU
    )
    assert config.careless_share == pytest.approx(share)


def test_precision_follows_the_device(a_gpu, monkeypatch):
    def precision(device):
        preset = choose_preset("quick", architecture="lite", careful_cases=5, careless_cases=0, device=device)
        return preset.config.precision

    assert (precision(CPU), precision(a_gpu)) == ("float32", "bfloat16")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: False)
    assert precision(a_gpu) == "float16"


def test_more_thorough_takes_more_steps_and_every_run_replays_and_validates():
    for architecture in RECIPES:
        configs = [
            choose_preset(name, architecture=architecture, careful_cases=9, careless_cases=9, device=CPU).config
            for name in PRESETS
        ]
        assert sorted({config.steps for config in configs}) == [config.steps for config in configs]
        assert all(config.replay_share >= 0.5 and config.validate_every > 0 for config in configs)


@pytest.mark.parametrize("wrong", [{"name": "fast"}, {"architecture": "unet"}, {"careful_cases": 0}])
def test_what_cannot_be_chosen_is_refused(wrong):
    values = {"name": "quick", "architecture": "lite", "careful_cases": 4, "careless_cases": 0, "device": CPU, **wrong}
    with pytest.raises(ModelError, match="Expected"):
        choose_preset(values.pop("name"), **values)


class SlowBalls(BrightBalls):
    """Careless cases take longer, as their labels have to be repaired."""

    def careful(self, rng, count):
        time.sleep(0.02)
        return super().careful(rng, count)


@pytest.mark.parametrize("method", ["hq", "cpcl"])
def test_the_time_of_a_run_is_estimated_from_a_few_steps(method):
    network = FewWeightsNetwork()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    settings = small_run(method=method, steps=1000)
    estimate_seconds(network, SlowBalls(), small_run(steps=1), device=CPU)  # torch loads parts of itself, once
    began = time.perf_counter()
    found = estimate_seconds(network, SlowBalls(), settings, device=CPU)
    assert found > 1000 * 0.02
    assert time.perf_counter() - began < found / 20
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_run_of_one_step_can_be_estimated_too():
    assert estimate_seconds(FewWeightsNetwork(), BrightBalls(), small_run(steps=1), device=CPU) > 0

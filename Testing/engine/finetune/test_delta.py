"""Files of changes: what they hold, that they give back the same answers, and that strange ones are refused."""

import dataclasses
import json

import pytest
import torch
from safetensors.torch import load_file, safe_open, save_file

from SegAnyPETLib.errors import WeightsError
from SegAnyPETLib.finetune.config import FineTuneConfig
from SegAnyPETLib.finetune.delta import apply_delta, read_delta, save_delta
from SegAnyPETLib.finetune.lora import merge_lora
from SegAnyPETLib.finetune.trained_parts import prepare_network
from SegAnyPETLib.model.lite import LiteNetwork
from SegAnyPETLib.model.load import load_model
from SegAnyPETLib.model.store import hash_file


@pytest.fixture
def base_file(tmp_path):
    torch.manual_seed(8)
    path = tmp_path / "base.safetensors"
    save_file(
        {name: value.contiguous() for name, value in LiteNetwork().state_dict().items()},
        path,
        metadata={"architecture": "lite"},
    )
    return path


def learned(base_file, parts):
    """The base model with every weight that may learn moved a little."""
    network = LiteNetwork()
    network.load_state_dict(load_file(base_file))
    prepare_network(network, parts, lora_rank=4, lora_alpha=8.0)
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.add_(0.01 * torch.randn(parameter.shape, generator=generator))
    return network


def written(base_file, parts):
    network, path = learned(base_file, parts), base_file.with_name("changes.safetensors")
    size = save_delta(
        path,
        network,
        architecture="lite",
        base_sha256=hash_file(base_file),
        manifest_fingerprint="cd" * 32,
        config=FineTuneConfig(parts=parts, lora_rank=4, lora_alpha=8.0),
    )
    assert size == path.stat().st_size
    return network, path


@pytest.mark.parametrize("parts", ["decoder", "lora", "full"])
def test_changes_on_the_base_model_give_the_network_that_learned(base_file, parts):
    network, path = written(base_file, parts)
    model = load_model(base_file, device="cpu")
    delta = apply_delta(model, path)
    wanted, found = merge_lora(network), model.network.state_dict()
    assert wanted.keys() == found.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, atol=1e-7, rtol=1e-6)
    assert delta.config.parts == parts
    assert delta.manifest_fingerprint == "cd" * 32
    assert {"torch", "seganypet"} <= delta.versions.keys()


def test_only_what_learned_is_in_the_file(base_file):
    _, path = written(base_file, "lora")
    assert not any(name.startswith(("encoder.level1", "encoder.stem")) for name in read_delta(path).weights)
    decoder = sum(value.numel() for value in LiteNetwork().decoder.state_dict().values())
    assert path.stat().st_size < 1.2 * 4 * decoder


def test_changes_of_another_base_model_are_refused(base_file):
    _, path = written(base_file, "decoder")
    other = base_file.with_name("other.safetensors")
    weights = load_file(base_file)
    weights["decoder.head.0.bias"] += 1
    save_file(weights, other, metadata={"architecture": "lite"})
    model = load_model(other, device="cpu")
    with pytest.raises(WeightsError, match="Load the model these changes were made from"):
        apply_delta(model, path)
    assert torch.equal(model.network.state_dict()["decoder.head.0.bias"], weights["decoder.head.0.bias"])


def config_with(**changes):
    return json.dumps({**dataclasses.asdict(FineTuneConfig(parts="decoder")), **changes})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda weights, facts: weights.pop("decoder.head.0.bias"), "decoder.head.0.bias"),
        (lambda weights, facts: weights.update(extra=torch.zeros(2)), "extra"),
        (lambda weights, facts: weights.update({"decoder.head.0.bias": torch.zeros(3)}), "shape"),
        (lambda weights, facts: weights["decoder.head.0.bias"].fill_(float("nan")), "NaN"),
        (lambda weights, facts: facts.pop("layout"), "Expected changes of a model"),
        (lambda weights, facts: facts.update(versions="x" * 70_000), "Expected changes of a model"),
        (lambda weights, facts: facts.update(base_architecture="vit"), "architecture 'vit'"),
        (lambda weights, facts: facts.update(config="[" * 5000), "say what they were made from"),
        (lambda weights, facts: facts.update(config=config_with(lora_rank=10**9)), "rank of 1 to 256"),
        (lambda weights, facts: facts.update(config=config_with(steps="many")), "steps of type str"),
        (lambda weights, facts: facts.update(config=config_with(surprise=1)), "unknown setting 'surprise'"),
        (lambda weights, facts: facts.pop("config"), "say what they were made from"),
    ],
)
def test_strange_files_are_refused_and_change_nothing(base_file, change, words):
    _, path = written(base_file, "decoder")
    with safe_open(path, framework="pt") as file:
        facts = file.metadata()
    weights = {name: value.clone() for name, value in load_file(path).items()}
    change(weights, facts)
    save_file(weights, path, metadata=facts)
    model = load_model(base_file, device="cpu")
    with pytest.raises(WeightsError, match=words):
        apply_delta(model, path)
    base = load_file(base_file)
    for name, value in model.network.state_dict().items():
        assert torch.equal(value, base[name])


def test_settings_come_back_from_their_text():
    settings = FineTuneConfig(method="hq", parts="lora", learning_rate=3e-5, precision="bfloat16")
    assert FineTuneConfig.from_json(settings.to_json()) == settings

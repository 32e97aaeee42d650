"""What learns: unchanged answers at the start, gradients only where they belong, merging that changes nothing."""

import copy

import pytest
import torch

from SegAnyPETLib.errors import ModelError
from SegAnyPETLib.finetune.lora import merge_lora
from SegAnyPETLib.finetune.trained_parts import prepare_network, set_training_mode
from SegAnyPETLib.model.image_encoder import EncoderConfig
from SegAnyPETLib.model.lite import LiteNetwork
from SegAnyPETLib.model.promptable_vit import PromptableViT

SMALL_VIT = EncoderConfig(image_size=32, patch_size=8, width=24, depth=8, heads=2, window=6, global_blocks=(2, 5))


def small_vit():
    torch.manual_seed(4)
    network = PromptableViT(SMALL_VIT).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))  # the position tables begin at 0
    return network


def lite():
    torch.manual_seed(4)
    return LiteNetwork().eval()


def answer_of(network):
    side = 32
    volume = torch.rand(1, 1, side, side, side, generator=torch.Generator().manual_seed(1))
    points = torch.tensor([[[9.0, 12.0, 20.0]]]), torch.tensor([[1]])
    logits, _ = network.decode(network.encode(volume), points=points)
    return logits


@pytest.mark.parametrize("make", [lite, small_vit])
@pytest.mark.parametrize("parts", ["decoder", "lora", "full"])
def test_a_prepared_network_answers_as_before(make, parts):
    network = make()
    with torch.no_grad():
        before = answer_of(network)
        prepare_network(network, parts)
        assert torch.equal(answer_of(network), before)


@pytest.mark.parametrize(
    ("make", "parts", "learning"),
    [
        (lite, "decoder", {"decoder"}),
        (lite, "lora", {"decoder", "encoder.level3", "encoder.level4"}),
        (small_vit, "decoder", {"mask_decoder"}),
        (small_vit, "lora", {"mask_decoder", *(f"image_encoder.blocks.{n}.attn.qkv" for n in range(2, 8))}),
    ],
)
def test_only_the_wanted_weights_learn(make, parts, learning):
    network = make()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    groups = prepare_network(network, parts)
    set_training_mode(network)
    answer_of(network).square().mean().backward()
    taught = {name for name, value in network.named_parameters() if value.grad is not None}
    for name in taught:
        assert any(name.startswith(f"{part}.") for part in learning), name
        assert "decoder" in name or name.endswith(("first", "second"))
    for part in learning:
        assert any(name.startswith(f"{part}.") for name in taught), part
    listed = {id(parameter) for group in groups for parameter in group.parameters}
    assert listed == {id(value) for value in network.parameters() if value.requires_grad}
    torch.optim.SGD([p for group in groups for p in group.parameters], lr=0.1).step()
    after = merge_lora(network)
    assert after.keys() == before.keys()
    for name, value in before.items():
        if not any(name.startswith(f"{part}.") for part in learning):
            assert torch.equal(after[name], value)


def test_the_keys_of_the_attention_and_its_bias_stay():
    network = small_vit()
    before = network.state_dict()["image_encoder.blocks.7.attn.qkv.weight"].clone()
    prepare_network(network, "lora", lora_rank=3)
    with torch.no_grad():
        for name, value in network.named_parameters():
            if name.endswith("second"):
                value.fill_(0.1)
    query, key, value = (merge_lora(network)["image_encoder.blocks.7.attn.qkv.weight"] - before).split(24)
    assert torch.equal(key, torch.zeros_like(key))
    for change in (query, value):
        assert 0 < torch.linalg.matrix_rank(change) <= 3


def test_the_whole_network_of_segany_pet_has_about_the_published_sizes():
    with torch.device("meta"):
        network = PromptableViT()
        changes, decoder = prepare_network(network, "lora")
    # 6 blocks, queries and values, rank 8: A (8, 768) and B (768, 8) each; the decoder as published.
    assert changes.count == 6 * 2 * 2 * 8 * 768
    assert decoder.count == 7_575_636


@pytest.mark.parametrize("make", [lite, small_vit])
def test_a_merged_network_answers_like_the_one_that_learned(make):
    network, plain = make(), make()
    prepare_network(network, "lora")
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, value in network.named_parameters():
            if name.endswith("second"):
                value.add_(0.05 * torch.randn(value.shape, generator=generator))
        before, learned = answer_of(plain), answer_of(network)
        plain.load_state_dict(merge_lora(network))
        assert (learned - before).abs().max() > 1e-3
        torch.testing.assert_close(answer_of(plain), learned, atol=1e-5, rtol=1e-5)
        assert torch.equal(answer_of(network), learned)  # it can go on learning


def test_frozen_parts_are_in_evaluation_mode_and_learning_ones_are_not():
    network = small_vit()
    prepare_network(network, "decoder")
    set_training_mode(network)
    assert network.mask_decoder.training
    assert not network.image_encoder.blocks[0].attn.training
    assert not network.prompt_encoder.training


def test_groups_have_their_own_rates():
    changes, decoder = prepare_network(lite(), "lora", encoder_rate=2.0, decoder_rate=0.5)
    assert (changes.name, changes.rate) == ("changes", 2.0)
    assert (decoder.name, decoder.rate) == ("decoder", 0.5)


def test_equal_seeds_begin_equally_and_a_copy_keeps_its_changes():
    one, other = lite(), lite()
    prepare_network(one, "lora", seed=3)
    prepare_network(other, "lora", seed=3)
    for name, value in copy.deepcopy(one).state_dict().items():
        assert torch.equal(value, other.state_dict()[name])


def test_what_cannot_be_prepared_is_refused():
    with pytest.raises(ModelError, match="Expected parts among"):
        prepare_network(lite(), "half")
    with pytest.raises(ModelError, match="Choose full"):
        prepare_network(torch.nn.Linear(2, 2), "lora")
    network = lite()
    prepare_network(network, "lora")
    with pytest.raises(ModelError, match="Load it again"):
        prepare_network(network, "lora")

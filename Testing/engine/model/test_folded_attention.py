"""Folding the padding into one key changes the work, not the function: compared with the literal computation."""

from __future__ import annotations

from types import ModuleType
from typing import TypeVar

import pytest
import torch
from golden_rule import rule_weights
from torch import nn
from torch.nn import functional

from SegAnyPETLib.errors import GeometryError, PromptError
from SegAnyPETLib.model.image_encoder import EncoderConfig, ImageEncoder
from SegAnyPETLib.model.promptable_vit import PromptableViT
from SegAnyPETLib.model.vit_attention import VolumeAttention

M = TypeVar("M", bound=nn.Module)
SMALL = EncoderConfig(image_size=128, width=96, depth=3, heads=2, window=14, global_blocks=(2,), out_channels=48)


def with_rule_weights(network: M, *, scale: float) -> M:
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    weights = rule_weights(shapes, scale=scale)
    network.load_state_dict({key: torch.from_numpy(value) for key, value in weights.items()})
    return network.eval()


# 0.02 is the golden data's near-uniform attention; 0.5 gives weights up to 1 on single keys
@pytest.mark.parametrize("scale", [0.02, 0.5])
@pytest.mark.parametrize(("grid", "window"), [(4, 7), (5, 6), (3, 8), (4, 4)])
def test_folded_attention_is_the_literal_one_to_double_precision(
    grid: int, window: int, scale: float, literal_encoder: ModuleType
) -> None:
    attention = with_rule_weights(VolumeAttention(24, heads=3, grid=grid, window=window), scale=scale).double()
    generator = torch.Generator().manual_seed(3)
    tokens = 3 * torch.randn(2, grid, grid, grid, 24, generator=generator, dtype=torch.float64)
    missing = window - grid
    padded = functional.pad(tokens, (0, 0, 0, missing, 0, missing, 0, missing))
    with torch.inference_mode():
        literal = literal_encoder.literal_attention(attention.state_dict(), padded, heads=3)
        folded = attention(tokens)
    torch.testing.assert_close(folded, literal[:, :grid, :grid, :grid], rtol=0, atol=1e-11)


def test_padding_matters_so_that_dropping_it_would_be_seen(literal_encoder: ModuleType) -> None:
    attention = with_rule_weights(VolumeAttention(24, heads=3, grid=4, window=7), scale=0.3)
    tokens = torch.randn(1, 4, 4, 4, 24, generator=torch.Generator().manual_seed(4))
    state = attention.state_dict() | {f"rel_pos_{a}": attention.get_parameter(f"rel_pos_{a}")[3:-3] for a in "dhw"}
    with torch.inference_mode():
        unpadded = literal_encoder.literal_attention(state, tokens, heads=3)
        assert float((attention(tokens) - unpadded).abs().max()) > 0.01


def test_encoder_of_few_blocks_equals_the_literal_encoder(literal_encoder: ModuleType) -> None:
    encoder = with_rule_weights(ImageEncoder(SMALL), scale=0.05)
    volume = torch.randn(1, 1, 128, 128, 128, generator=torch.Generator().manual_seed(5))
    with torch.inference_mode():
        literal = literal_encoder.literal_encode(encoder.state_dict(), volume, heads=2, window=14, global_blocks=(2,))
        assert float((encoder(volume) - literal).abs().max()) < 5e-5


@pytest.mark.parametrize("shape", [(1, 1, 128, 128, 127), (1, 128, 128, 128), (1, 2, 128, 128, 128)])
def test_a_volume_of_another_shape_is_refused_with_both_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(GeometryError, match=r"Expected .*\(B, 1, 128, 128, 128\), found \(1, "):
        ImageEncoder(SMALL)(torch.zeros(shape))


@pytest.fixture(scope="module")
def a_small_network() -> PromptableViT:
    return with_rule_weights(PromptableViT(SMALL), scale=0.05)


@pytest.mark.parametrize(
    ("points", "mask"),
    [
        ((torch.zeros(1, 2, 3), torch.zeros(1, 3)), None),
        ((torch.zeros(1, 2, 2), torch.zeros(1, 2)), None),
        ((torch.zeros(2, 1, 3), torch.zeros(2, 1)), torch.zeros(3, 1, 32, 32, 32)),
        ((torch.zeros(3, 1, 3), torch.zeros(3, 1)), None),
        (None, torch.zeros(2, 1, 32, 32, 31)),
        (None, torch.zeros(2, 32, 32, 32)),
    ],
    ids=["labels", "axes", "counts", "no multiple of the images", "mask size", "mask rank"],
)
def test_prompts_of_another_shape_are_refused(a_small_network: PromptableViT, points: object, mask: object) -> None:
    with pytest.raises(PromptError, match="Expected"):
        a_small_network.decode(torch.zeros(2, 48, 8, 8, 8), points=points, mask_logits=mask)


def test_an_embedding_of_another_network_is_refused(a_small_network: PromptableViT) -> None:
    with pytest.raises(GeometryError, match=r"\(B, 48, 8, 8, 8\), found \(1, 384, 8, 8, 8\)"):
        a_small_network.decode(torch.zeros(1, 384, 8, 8, 8))


def test_an_ignored_point_keeps_its_place_but_not_its_position(a_small_network: PromptableViT) -> None:
    near, far = torch.tensor([[[5.0, 6.0, 7.0]]]), torch.tensor([[[99.0, 3.0, 50.0]]])
    encode = a_small_network.prompt_encoder.encode_points
    with torch.inference_mode():
        ignored = encode(near, torch.tensor([[-1]]))
        assert torch.equal(ignored, encode(far, torch.tensor([[-1]])))
        assert ignored.shape == (1, 2, 48)
        assert not torch.equal(encode(near, torch.tensor([[1]])), encode(near, torch.tensor([[0]])))


def test_a_mask_of_zeros_is_not_the_same_as_no_mask(a_small_network: PromptableViT) -> None:
    embedding = torch.randn(1, 48, 8, 8, 8, generator=torch.Generator().manual_seed(6))
    with torch.inference_mode():
        none, _ = a_small_network.decode(embedding)
        zeros, _ = a_small_network.decode(embedding, mask_logits=torch.zeros(1, 1, 32, 32, 32))
    assert float((none - zeros).abs().max()) > 1e-3


def test_position_encoding_follows_the_weights_and_is_not_in_the_file(a_small_network: PromptableViT) -> None:
    assert not [key for key in a_small_network.state_dict() if "dense_pe" in key]
    other = PromptableViT(SMALL)
    assert not torch.equal(other.prompt_encoder.dense_pe, a_small_network.prompt_encoder.dense_pe)
    other.load_state_dict(a_small_network.state_dict())
    assert torch.equal(other.prompt_encoder.dense_pe, a_small_network.prompt_encoder.dense_pe)
    assert other.double().prompt_encoder.dense_pe.dtype == torch.float64

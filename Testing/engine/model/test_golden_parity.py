"""The reference network gives the published implementation's numbers (Testing/golden/README.md says whose)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from golden_rule import published_shapes, rule_mask_prompt, rule_volume, rule_weights
from torch import Tensor, nn

EMBEDDING, TOKENS, LOGITS, QUALITY = 5e-5, 2e-5, 2e-6, 1e-6
PROMPT_SETS = ["A", "B", "C", "D"]

Prompts = tuple[tuple[Tensor, Tensor] | None, Tensor | None]


def prompts_of(name: str, numbers: dict[str, np.ndarray]) -> Prompts:
    points = None
    if name != "D":
        points = torch.from_numpy(numbers[f"{name}_points"]).float(), torch.from_numpy(numbers[f"{name}_labels"])
    return points, torch.from_numpy(rule_mask_prompt()) if name in "CD" else None


def largest_difference(found: Tensor, expected: np.ndarray) -> float:
    assert tuple(found.shape) == expected.shape
    return float(np.abs(found.numpy() - expected).max()) if expected.size else 0.0


def test_the_rule_still_makes_the_weights_and_the_volume_of_the_recording(
    golden_numbers: dict[str, np.ndarray],
) -> None:
    keys = [str(key) for key in golden_numbers["weight_check_keys"]]
    weights = rule_weights({key: published_shapes()[key] for key in keys})
    heads = np.stack([weights[key].ravel()[:4] for key in keys])
    np.testing.assert_array_equal(heads, golden_numbers["weight_check_values"])
    np.testing.assert_array_equal(rule_volume().ravel()[:16], golden_numbers["volume_head"])


def test_parameter_names_and_shapes_are_those_of_the_published_checkpoints(golden_network: nn.Module) -> None:
    ours = {key: tuple(value.shape) for key, value in golden_network.state_dict().items()}
    assert ours == published_shapes()
    assert sum(parameter.numel() for parameter in golden_network.parameters()) == 100_509_232


def test_image_embedding_equals_the_recording(golden_embedding: Tensor, golden_numbers: dict[str, np.ndarray]) -> None:
    assert golden_embedding.shape == (1, 384, 8, 8, 8)
    assert largest_difference(golden_embedding[0, ::48], golden_numbers["embedding_sub"]) < EMBEDDING
    assert float(golden_embedding.double().mean()) == pytest.approx(float(golden_numbers["embedding_mean"]), abs=1e-6)
    assert float(golden_embedding.double().std()) == pytest.approx(float(golden_numbers["embedding_std"]), abs=1e-6)


def test_position_encoding_of_the_grid_equals_the_recording(
    golden_network: nn.Module, golden_numbers: dict[str, np.ndarray]
) -> None:
    assert largest_difference(golden_network.prompt_encoder.dense_pe[0, ::48], golden_numbers["dense_pe_sub"]) < TOKENS


@pytest.mark.parametrize("name", PROMPT_SETS)
def test_prompt_embeddings_equal_the_recording(
    name: str, golden_network: nn.Module, golden_numbers: dict[str, np.ndarray]
) -> None:
    with torch.inference_mode():
        sparse, dense = golden_network.prompt_encoder(*prompts_of(name, golden_numbers), prompts=1)
    if name == "D":
        assert sparse.shape == (1, 0, 384)
    else:
        assert largest_difference(sparse, golden_numbers[f"{name}_sparse"]) < TOKENS
    found = np.array([float(dense.detach().double().mean()), float(dense.detach().double().std())])
    np.testing.assert_allclose(found, golden_numbers[f"{name}_dense_mean_std"], atol=1e-5)


@pytest.mark.parametrize("name", PROMPT_SETS)
def test_masks_and_quality_equal_the_recording(
    name: str, golden_network: nn.Module, golden_embedding: Tensor, golden_numbers: dict[str, np.ndarray]
) -> None:
    points, mask_logits = prompts_of(name, golden_numbers)
    with torch.inference_mode():
        logits, quality = golden_network.decode(golden_embedding, points=points, mask_logits=mask_logits)
    assert logits.shape == (1, 4, 32, 32, 32)
    assert largest_difference(logits[..., 1::3, ::3, 2::3], golden_numbers[f"{name}_masks"]) < LOGITS
    assert largest_difference(quality, golden_numbers[f"{name}_quality"]) < QUALITY


@pytest.mark.parametrize("name", PROMPT_SETS)
def test_every_recorded_number_is_met_where_the_full_recording_is_at_hand(
    name: str, golden_folder: Path, golden_network: nn.Module, golden_embedding: Tensor
) -> None:
    with np.load(golden_folder / "vit_b_ori_seed7.npz") as archive:
        numbers = dict(archive)
    assert largest_difference(golden_embedding[0, ::4], numbers["embedding_sub"]) < EMBEDDING
    points, mask_logits = prompts_of(name, numbers)
    with torch.inference_mode():
        logits, quality = golden_network.decode(golden_embedding, points=points, mask_logits=mask_logits)
    assert largest_difference(logits[:, :1], numbers[f"{name}_low_res_masks_single"]) < LOGITS
    assert largest_difference(logits[:, 1:], numbers[f"{name}_low_res_masks_multi"]) < LOGITS
    assert largest_difference(quality[:, :1], numbers[f"{name}_iou_predictions_single"]) < QUALITY
    assert largest_difference(quality[:, 1:], numbers[f"{name}_iou_predictions_multi"]) < QUALITY


def test_several_prompts_on_one_image_are_the_same_as_one_by_one(
    golden_network: nn.Module, golden_embedding: Tensor
) -> None:
    coordinates = torch.tensor([[[90.0, 31.0, 60.0]], [[12.0, 100.0, 7.0]], [[64.0, 64.0, 64.0]]])
    labels = torch.tensor([[1], [0], [1]])
    with torch.inference_mode():
        together, _ = golden_network.decode(golden_embedding, points=(coordinates, labels))
        alone = [
            golden_network.decode(golden_embedding, points=(coordinates[i : i + 1], labels[i : i + 1]))[0]
            for i in range(3)
        ]
    assert together.shape == (3, 4, 32, 32, 32)
    assert float((together - torch.cat(alone)).abs().max()) < LOGITS


def test_the_same_prompts_give_the_same_bits(golden_network: nn.Module, golden_embedding: Tensor) -> None:
    points = torch.tensor([[[90.0, 31.0, 60.0], [3.0, 99.0, 127.0]]]), torch.tensor([[1, 0]])
    with torch.inference_mode():
        first = golden_network.decode(golden_embedding, points=points)[0]
        second = golden_network.decode(golden_embedding, points=points)[0]
    assert torch.equal(first, second)

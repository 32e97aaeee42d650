"""The bundled network keeps the contract every promptable network keeps."""

from __future__ import annotations

import pytest
import torch

from SegAnyPETLib.model.lite import LiteNetwork


@pytest.fixture(scope="module")
def network() -> LiteNetwork:
    torch.manual_seed(3)
    return LiteNetwork().eval()


@pytest.fixture(scope="module")
def volume() -> torch.Tensor:
    return torch.rand(1, 1, 32, 48, 16, generator=torch.Generator().manual_seed(4))


def points(*clicks: tuple[float, float, float, int]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor([[c[:3] for c in clicks]]), torch.tensor([[c[3] for c in clicks]])


def centre_of(response: torch.Tensor) -> torch.Tensor:
    """Centre of gravity, in voxels along D, H, W, of the stronger half of a response (D, H, W)."""
    weight = (response.abs() - response.abs().amax() / 2).clamp(min=0)
    axes = torch.meshgrid(*[torch.arange(float(n)) for n in response.shape], indexing="ij")
    return torch.stack([(weight * axis).sum() / weight.sum() for axis in axes])


@torch.inference_mode()
def test_logits_have_the_shape_of_the_volume_and_quality_is_a_share(network: LiteNetwork, volume: torch.Tensor) -> None:
    logits, quality = network.decode(network.encode(volume), points=points((8.0, 40.0, 3.0, 1)))
    assert logits.shape == (1, 1, 32, 48, 16)
    assert quality.shape == (1, 1)
    assert 0 <= quality.item() <= 1


@torch.inference_mode()
def test_an_ignored_point_changes_nothing(network: LiteNetwork, volume: torch.Tensor) -> None:
    embedding = network.encode(volume)
    alone, _ = network.decode(embedding, points=points((8.0, 40.0, 3.0, 1), (20.0, 5.0, 9.0, 0)))
    padded, _ = network.decode(embedding, points=points((8.0, 40.0, 3.0, 1), (20.0, 5.0, 9.0, 0), (1.0, 2.0, 3.0, -1)))
    torch.testing.assert_close(padded, alone, rtol=0, atol=1e-6)


@torch.inference_mode()
def test_the_order_of_the_points_does_not_matter(network: LiteNetwork, volume: torch.Tensor) -> None:
    embedding = network.encode(volume)
    one, _ = network.decode(embedding, points=points((8.0, 40.0, 3.0, 1), (20.0, 5.0, 9.0, 0), (9.0, 9.0, 9.0, 1)))
    other, _ = network.decode(embedding, points=points((9.0, 9.0, 9.0, 1), (8.0, 40.0, 3.0, 1), (20.0, 5.0, 9.0, 0)))
    torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize(("axis", "shift"), [(0, 16.0), (1, 32.0), (2, 16.0)])
def test_moving_a_click_moves_the_answer_along_the_same_axis(network: LiteNetwork, axis: int, shift: float) -> None:
    """In an image without structure the answer depends on the click alone, so it must move with it."""
    embedding = network.encode(torch.full((1, 1, 48, 64, 48), 0.7))
    nobody, _ = network.decode(embedding)
    start = [15.5, 15.5, 15.5]
    moved = [c + shift * (n == axis) for n, c in enumerate(start)]
    a, _ = network.decode(embedding, points=points((*start, 1)))
    b, _ = network.decode(embedding, points=points((*moved, 1)))
    travelled = centre_of((b - nobody)[0, 0]) - centre_of((a - nobody)[0, 0])
    assert travelled.abs().argmax() == axis
    assert travelled[axis] > 0.5 * shift


@torch.inference_mode()
def test_a_reach_is_a_prompt_and_no_reach_is_reach_zero(network: LiteNetwork, volume: torch.Tensor) -> None:
    embedding = network.encode(volume)
    coords, labels = points((8.0, 40.0, 3.0, 1), (20.0, 5.0, 9.0, 0))
    plain, _ = network.decode(embedding, points=(coords, labels))
    zero, _ = network.decode(embedding, points=(torch.cat([coords, torch.zeros(1, 2, 1)], dim=2), labels))
    far, _ = network.decode(embedding, points=(torch.cat([coords, torch.full((1, 2, 1), 5.0)], dim=2), labels))
    torch.testing.assert_close(zero, plain, rtol=0, atol=0)
    assert not torch.allclose(far, plain)


@torch.inference_mode()
def test_a_batch_of_prompts_equals_prompts_one_by_one(network: LiteNetwork, volume: torch.Tensor) -> None:
    embedding = network.encode(volume)
    coords = torch.tensor([[[8.0, 40.0, 3.0]], [[20.0, 5.0, 9.0]]])
    together, _ = network.decode(embedding, points=(coords, torch.ones(2, 1, dtype=torch.long)))
    for n in range(2):
        alone, _ = network.decode(embedding, points=(coords[n : n + 1], torch.ones(1, 1, dtype=torch.long)))
        torch.testing.assert_close(together[n : n + 1], alone, rtol=0, atol=1e-5)


@torch.inference_mode()
def test_a_mask_alone_is_a_prompt(network: LiteNetwork, volume: torch.Tensor) -> None:
    embedding = network.encode(volume)
    mask = torch.full((1, 1, 32, 48, 16), -4.0)
    mask[..., 8:20, 10:30, 4:12] = 4.0
    with_mask, _ = network.decode(embedding, mask_logits=mask)
    without, _ = network.decode(embedding, mask_logits=-mask)
    assert not torch.allclose(with_mask, without)


def test_the_weights_fit_the_bundle() -> None:
    size_mb = sum(p.numel() * 4 for p in LiteNetwork().parameters()) / 1e6
    assert size_mb <= 25

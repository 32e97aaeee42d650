"""SegAnyPET's network in the training loop: axes, intensities and masks as when it is used."""

import numpy as np
import torch
from few_weights import CPU, small_run

from SegAnyPETLib.finetune.crops import LabelledCrop, to_volumes
from SegAnyPETLib.finetune.loop import start, train
from SegAnyPETLib.finetune.lora import merge_lora
from SegAnyPETLib.finetune.trainable_vit import TrainableViT, points_to_ras, to_lps, to_ras, trainable_copy
from SegAnyPETLib.finetune.trained_parts import prepare_network
from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.model.image_encoder import EncoderConfig
from SegAnyPETLib.model.lite import LiteNetwork
from SegAnyPETLib.model.promptable_vit import PromptableViT
from SegAnyPETLib.preprocess.normalize import normalize
from SegAnyPETLib.preprocess.region import Region
from SegAnyPETLib.preprocess.resample import resample_to_region

SIDE = 32
SMALL = EncoderConfig(image_size=SIDE, patch_size=8, width=24, depth=7, heads=2, window=6, global_blocks=(2, 5))
SLANT = np.deg2rad(20)
OBLIQUE = ((np.cos(SLANT), -np.sin(SLANT), 0.0), (np.sin(SLANT), np.cos(SLANT), 0.0), (0.0, 0.0, 1.0))


def regions():
    """The same cube of an oblique image, as crops are cut and as the network is given it in a session."""
    rng = np.random.default_rng(2)
    image = rng.uniform(0, 5, (40, 44, 48)).astype(np.float32)
    grid = Grid(image.shape, (1.7, 1.9, 2.3), (-30.0, 12.0, 55.0), OBLIQUE)
    centre = tuple(grid.kji_to_lps((20.2, 21.7, 23.4)))
    both = [Region(centre, (SIDE,) * 3, 1.5, axes) for axes in ("kji_lps", "ijk_ras")]
    return both, [resample_to_region(image, grid, region) for region in both]


def small_vit():
    torch.manual_seed(4)
    return PromptableViT(SMALL).eval()


def test_a_crop_is_turned_as_a_session_turns_it():
    (crop_region, session_region), (crop, wanted) = regions()
    turned = to_ras(torch.from_numpy(crop)[None, None])
    np.testing.assert_allclose(turned[0, 0].numpy(), wanted, atol=1e-4)
    assert torch.equal(to_lps(turned)[0, 0], torch.from_numpy(crop))
    click = np.array([3.0, 10.0, 25.0])
    there = session_region.lps_to_tensor(crop_region.tensor_to_lps(click))
    found = points_to_ras(torch.tensor(click)[None, None], size=SIDE)
    np.testing.assert_allclose(found[0, 0].numpy(), there, atol=1e-6)


def test_the_network_answers_a_crop_as_in_a_session():
    network = small_vit()
    (_, _), (crop, in_session) = regions()
    volume = to_volumes([LabelledCrop(crop, crop > 4, 1.5, 0, "zscore_positive")], CPU)
    click, label = torch.tensor([[[3.0, 10.0, 25.0, 2.0]]]), torch.tensor([[1]])
    trainable = trainable_copy(network)
    with torch.no_grad():
        logits, _ = trainable.decode(trainable.encode(volume), points=(click, label))
        embedding = network.encode(torch.from_numpy(normalize(in_session, "zscore_positive"))[None, None])
        coordinates = torch.tensor([[[SIDE - 1 - 25.0, SIDE - 1 - 10.0, 3.0]]])
        zeros = torch.zeros(1, 1, 16, 16, 16)
        wanted, _ = network.decode(embedding, points=(coordinates, label), mask_logits=zeros)
    fine = torch.nn.functional.interpolate(wanted[:, :1], size=(SIDE,) * 3, mode="trilinear")
    torch.testing.assert_close(to_ras(logits), fine, atol=1e-4, rtol=1e-4)


def test_it_learns_with_low_rank_changes_and_is_exported_under_its_own_names():
    class Cubes:
        def careful(self, rng, count):
            crops = []
            for _ in range(count):
                label = np.zeros((SIDE,) * 3, dtype=bool)
                k, j, i = rng.integers(6, 18, 3)
                label[k : k + 8, j : j + 7, i : i + 9] = True
                crops.append(LabelledCrop((1 + 5 * label).astype(np.float32), label, 1.5, 0, "zscore_positive"))
            return crops

        careless = careful

    network, settings = small_vit(), small_run(method="cpcl", steps=4, batch=2, parts="lora", learning_rate=3e-3)
    trainable = trainable_copy(network)
    groups = prepare_network(trainable, "lora")
    state = start(trainable, settings, groups=groups)
    merged = merge_lora(trainable, train(state, Cubes(), settings, device=CPU))
    assert merged.keys() == network.state_dict().keys()
    assert all(np.isfinite(line["loss"]) for line in state.history)
    moved = {name for name, value in network.state_dict().items() if not torch.equal(value, merged[name])}
    assert "image_encoder.blocks.6.attn.qkv.weight" in moved
    assert not any(name.startswith(("prompt_encoder", "image_encoder.blocks.0.")) for name in moved)


def test_copies_are_of_the_kind_that_learns():
    assert isinstance(trainable_copy(small_vit()), TrainableViT)
    assert isinstance(trainable_copy(LiteNetwork()), LiteNetwork)

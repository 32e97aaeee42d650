"""Weights files: what is read, what is refused, and that a hostile pickle does not run."""

from __future__ import annotations

import argparse
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from SegAnyPETLib.errors import ModelError, WeightsError
from SegAnyPETLib.model import build_network, load_checkpoint, model_spec, read_checkpoint
from SegAnyPETLib.model.checkpoint import Checkpoint, fill_network
from SegAnyPETLib.model.image_encoder import EncoderConfig
from SegAnyPETLib.model.promptable_vit import PromptableViT


@pytest.fixture(scope="module")
def a_state() -> dict[str, Tensor]:
    """Weights of the smallest architecture, none of them left as it was made."""
    generator = torch.Generator().manual_seed(21)
    state = build_network("lite").state_dict()
    return {key: torch.randn(value.shape, generator=generator) for key, value in state.items()}


def training_checkpoint(state: dict[str, Tensor]) -> dict[str, object]:
    """The layout of the published trainer's files."""
    return {
        "epoch": 3,
        "model_state_dict": state,
        "optimizer_state_dict": {"state": {0: {"step": torch.tensor(5.0), "exp_avg": torch.zeros(4)}}},
        "lr_scheduler_state_dict": {"milestones": [120, 180], "last_epoch": 3},
        "losses": [0.5, 0.4],
        "dices": [0.6, 0.7],
        "best_loss": 0.4,
        "best_dice": 0.7,
        "args": argparse.Namespace(model_type="vit_b_ori", gpu_ids=[0, 1], lr=8e-4),
        "used_datas": ["train/fold0"],
    }


def parallel(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"module.{key}": value for key, value in state.items()}


@pytest.mark.parametrize(
    "pack",
    [
        lambda state: state,
        training_checkpoint,
        parallel,
        lambda state: training_checkpoint(parallel(state)),
        lambda state: {"state_dict": state, "epoch": 1},
    ],
    ids=["plain", "published trainer", "parallel", "published trainer, parallel", "lightning"],
)
@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "legacy"])
def test_every_usual_layout_of_a_pth_file_gives_the_same_network(
    pack: Callable[[dict[str, Tensor]], object], is_zip: bool, a_state: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "weights.pth"
    torch.save(pack(a_state), path, _use_new_zipfile_serialization=is_zip)
    network = load_checkpoint(path)
    assert not network.training
    for key, value in network.state_dict().items():
        assert torch.equal(value, a_state[key])


def test_a_safetensors_file_is_recognized_by_its_contents_not_its_name(
    a_state: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "weights.pth"
    save_file(a_state, path)
    assert torch.equal(load_checkpoint(path).state_dict()["decoder.down2.0.weight"], a_state["decoder.down2.0.weight"])


def test_half_precision_weights_become_float32(a_state: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "half.safetensors"
    save_file({key: value.to(torch.bfloat16) for key, value in a_state.items()}, path)
    network = load_checkpoint(path)
    assert {value.dtype for value in network.state_dict().values()} == {torch.float32}


def test_a_file_may_bring_its_own_preprocessing(a_state: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    own = {
        "roi_shape": [32, 48, 64],
        "spacings_mm": [3.0],
        "tensor_axes": "ijk_ras",
        "normalization": "log_suv",
        "mask_prompt_first": "zeros",
        "points": "newest",
        "mask_stride": 2,
    }
    save_file(a_state, path, metadata={"architecture": "lite", "preprocessing": json.dumps(own)})
    preprocessing = read_checkpoint(path).preprocessing
    assert preprocessing is not None
    assert preprocessing.mask_shape == (16, 24, 32)
    save_file(a_state, path, metadata={"preprocessing": json.dumps(own | {"points": "all at once"})})
    with pytest.raises(WeightsError, match=r"one of .'accumulate', 'newest'"):
        read_checkpoint(path).preprocessing  # noqa: B018
    assert model_spec("lite").preprocessing.mask_shape == (64, 64, 64)


class Hostile:
    """Pickled as a call, as any code that a checkpoint of unknown origin may carry."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.marker,)


@pytest.mark.parametrize("place", ["alone", "beside the weights", "inside the namespace", "inside the optimizer"])
@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "legacy"])
def test_a_pickle_that_wants_to_run_code_is_refused_and_does_not_run(
    place: str, is_zip: bool, a_state: dict[str, Tensor], tmp_path: Path
) -> None:
    marker = tmp_path / "it ran"
    content = training_checkpoint(a_state)
    if place == "alone":
        content = {"model_state_dict": Hostile(marker)}
    elif place == "beside the weights":
        content["extra"] = Hostile(marker)
    elif place == "inside the namespace":
        content["args"] = argparse.Namespace(lr=Hostile(marker))
    else:
        content["optimizer_state_dict"] = [Hostile(marker)]
    path = tmp_path / "hostile.pth"
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    with pytest.raises(WeightsError, match=r"wants to run code .* nothing in it was executed"):
        load_checkpoint(path)
    assert not marker.exists()
    torch.load(path, weights_only=False)  # the same file, read without care: the test would see it run
    assert marker.exists()


@pytest.mark.parametrize("program", ["os system", "builtins eval", "builtins exec", "subprocess Popen"])
def test_a_bare_pickle_of_a_shell_command_is_refused(program: str, tmp_path: Path) -> None:
    module, name = program.split()
    marker = tmp_path / "it ran"
    path = tmp_path / "bare.pth"
    path.write_bytes(f"c{module}\n{name}\n(S'touch \"{marker}\"'\ntR.".encode())
    with pytest.raises(WeightsError, match=r"nothing in it was executed|cannot be read"):
        load_checkpoint(path)
    assert not marker.exists()


def test_a_whole_pickled_network_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "network.pth"
    torch.save(nn.Linear(2, 3), path)
    with pytest.raises(WeightsError, match="foreign objects; nothing in it was executed"):
        load_checkpoint(path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "an empty file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 402\n", "a Git LFS pointer"),
        (b"<!DOCTYPE html><html><body>Access denied</body></html>", "a web page"),
        (b"\x1f\x8b\x08\x00" + bytes(300), "a gzip archive"),
        (b"patient,lesion\n1,2\n", "a text file"),
        (bytes(128) + b"DICM" + bytes(200), "a DICOM file"),
        (bytes(range(1, 200)), "a file of an unknown kind"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_refused_by_what_it_seems_to_be(
    content: bytes, kind: str, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=kind):
        load_checkpoint(path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("part", [0.02, 0.5, 0.999])
def test_a_file_that_is_cut_off_is_refused(
    suffix: str, part: float, a_state: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / f"weights{suffix}"
    save_file(a_state, path) if suffix == ".safetensors" else torch.save(a_state, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(WeightsError, match="get the file again"):
        load_checkpoint(path)


def damage(content: bytes, generator: np.random.Generator) -> bytes:
    """Some bytes exchanged, removed from the end, or put in."""
    damaged = bytearray(content)
    kind, place = generator.integers(3), int(generator.integers(len(damaged)))
    if kind == 0:
        for place in generator.integers(len(damaged), size=generator.integers(1, 20)):
            damaged[place] = generator.integers(256)
    elif kind == 1:
        del damaged[place:]
    else:
        damaged[place:place] = generator.bytes(int(generator.integers(1, 30)))
    return bytes(damaged)


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_a_damaged_file_is_read_or_refused_but_never_breaks_out(form: str, tmp_path: Path) -> None:
    state = {"a.weight": torch.rand(3, 4), "a.bias": torch.rand(4), "b": torch.rand(2, 2).half()}
    path = tmp_path / "weights.pth"
    if form == "safetensors":
        save_file(state, path, metadata={"licence": "none"})
    else:
        torch.save(training_checkpoint(state), path, _use_new_zipfile_serialization=form == "zip")
    content, generator = path.read_bytes(), np.random.default_rng(41)
    refused = 0
    for _ in range(150):
        path.unlink()  # what is mapped from the old file stays as it was
        path.write_bytes(damage(content, generator))
        try:
            read_checkpoint(path)
        except WeightsError:
            refused += 1
    assert refused > 50


def test_an_absent_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="found nothing"):
        load_checkpoint(tmp_path / "absent.pth")
    with pytest.raises(WeightsError, match="found a folder"):
        load_checkpoint(tmp_path)


def test_a_file_that_must_not_be_read_is_a_weights_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(b"secret")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(WeightsError, match="Permission denied"):
        load_checkpoint(path)


def test_missing_and_unexpected_entries_are_named_with_what_the_file_seems_to_hold(
    a_state: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "other.safetensors"
    kept = {key: value for key, value in a_state.items() if key != "decoder.down2.0.weight"}
    save_file(kept | {"decoder.extra.weight": torch.zeros(2)}, path)
    with pytest.raises(WeightsError) as caught:
        load_checkpoint(path)
    assert "1 missing (decoder.down2.0.weight) and 1 unexpected (decoder.extra.weight)" in str(caught.value)
    with pytest.raises(WeightsError, match=r"\d+ missing \(.*, \.\.\.\).*seems to hold"):
        load_checkpoint(path, architecture="vit_b_ori")


def test_weights_of_a_foreign_network_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "foreign.pth"
    torch.save({"network_weights": {"encoder": torch.zeros(2)}, "trainer_name": "nnUNetTrainer"}, path)
    with pytest.raises(WeightsError, match="a dictionary of network_weights, trainer_name"):
        load_checkpoint(path)
    torch.save({"conv.weight": torch.zeros(3, 3)}, path)
    with pytest.raises(WeightsError, match=r"Expected weights of vit_b_ori or lite .* such as conv\.weight"):
        load_checkpoint(path)


@pytest.mark.parametrize("content", [[1, 2], {}, {"model_state_dict": {"a": 1.0}}, torch.zeros(3), "weights"])
def test_a_pth_file_without_weights_is_refused(content: object, tmp_path: Path) -> None:
    path = tmp_path / "none.pth"
    torch.save(content, path)
    with pytest.raises(WeightsError, match="Expected a state dict"):
        load_checkpoint(path)


@pytest.fixture
def a_small_network() -> PromptableViT:
    return PromptableViT(EncoderConfig(width=24, depth=1, heads=2, global_blocks=(), out_channels=48))


def test_a_wrong_shape_is_refused_and_the_network_left_as_it_was(a_small_network: PromptableViT) -> None:
    before = {key: value.clone() for key, value in a_small_network.state_dict().items()}
    state = {key: value + 1 for key, value in before.items()}
    state["mask_decoder.iou_token.weight"] = torch.zeros(2, 48)
    with pytest.raises(WeightsError, match=r"iou_token\.weight of shape \(1, 48\) .* found \(2, 48\)"):
        fill_network(a_small_network, Checkpoint(Path("file"), state, {}))
    for key, value in a_small_network.state_dict().items():
        assert torch.equal(value, before[key])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value: float, a_small_network: PromptableViT) -> None:
    state = {key: tensor.clone() for key, tensor in a_small_network.state_dict().items()}
    state["image_encoder.pos_embed"][0, 1, 2, 3, 4] = value
    with pytest.raises(WeightsError, match=r"NaN or infinity in image_encoder\.pos_embed"):
        fill_network(a_small_network, Checkpoint(Path("file"), state, {}))


def test_an_unknown_architecture_is_refused_with_those_that_exist(a_state: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(a_state, path)
    with pytest.raises(ModelError, match="vit_b_ori, lite; found 'vit_h'"):
        load_checkpoint(path, architecture="vit_h")


def test_pickle_is_never_read_the_ordinary_way(a_state: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "pickled.pth"
    path.write_bytes(pickle.dumps({"a": [1, 2, 3]}))
    with pytest.raises(WeightsError):
        load_checkpoint(path)

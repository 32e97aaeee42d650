"""From a name or path to answers: devices, running out of memory, and nothing that changes what it was given."""

from __future__ import annotations

import argparse
from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from golden_rule import rule_volume
from safetensors.torch import save_file
from torch import Tensor, nn

from SegAnyPETLib.errors import DeviceError, ModelError, SegAnyPETWarning, SetupError, WeightsError
from SegAnyPETLib.model import Model, build_network, find_model, load_model, model_spec, registered_models
from SegAnyPETLib.model.device import move, resolve_device


@pytest.fixture(scope="module")
def lite_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(31)
    path = tmp_path_factory.mktemp("weights") / "tried.safetensors"
    state = {key: value.contiguous() for key, value in build_network("lite").state_dict().items()}
    save_file(state, path, metadata={"licence": "CC-BY-4.0"})
    return path


def test_weights_from_a_file_answer_with_float32_on_the_cpu(lite_weights: Path) -> None:
    model = load_model(lite_weights, device="cpu")
    assert (model.spec.name, model.spec.architecture, model.spec.licence) == ("tried", "lite", "CC-BY-4.0")
    assert model.spec.preprocessing == model_spec("lite").preprocessing
    assert model.weights_path == lite_weights
    volume = np.random.default_rng(1).random((1, 1, 32, 48, 64))
    before = volume.copy()
    embedding = model.encode(volume)
    volume.setflags(write=False)
    points = np.array([[[60.0, 40.0, 5.0], [30.0, 20.0, 16.0]]])[..., ::-1], np.array([[1, 0]])
    logits, quality = model.decode(embedding, points=points)
    again, _ = model.decode(embedding, points=points, mask_logits=logits)
    assert logits.shape == again.shape == (1, 1, 32, 48, 64)
    assert quality.shape == (1, 1)
    assert logits.dtype == quality.dtype == torch.float32
    assert not logits.requires_grad
    np.testing.assert_array_equal(volume, before)
    assert torch.equal(logits, model.decode(model.encode(volume), points=points)[0])


def test_the_published_layout_loads_by_name_from_a_copied_file_and_keeps_parity(
    golden_network: nn.Module, golden_embedding: Tensor, golden_numbers: dict[str, np.ndarray], tmp_path: Path
) -> None:
    """The whole way of an offline user: 402 MB of weights in the trainer's wrapper, put where the message says."""
    path = find_model("seganypet", folder=tmp_path).path
    path.parent.mkdir(parents=True)
    wrapped = {"model_state_dict": golden_network.state_dict(), "args": argparse.Namespace(lr=8e-4), "epoch": 1}
    torch.save(wrapped, path)
    model = load_model("seganypet", device="cpu", models_folder=tmp_path)
    assert model.spec is model_spec("seganypet")
    loaded = model.network.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in golden_network.state_dict().items())
    points = golden_numbers["A_points"], golden_numbers["A_labels"]
    logits, _ = model.decode(golden_embedding, points=points)
    assert float(np.abs(logits[..., 1::3, ::3, 2::3].numpy() - golden_numbers["A_masks"]).max()) < 2e-6


@pytest.mark.weights
@pytest.mark.parametrize("name", [spec.name for spec in registered_models() if spec.hub_file])
def test_published_weights_on_this_machine_load_strictly_and_answer(name: str) -> None:
    installed = find_model(name)
    if installed.origin == "absent":
        pytest.skip(f"no weights at {installed.path}")
    model = load_model(name)
    embedding = model.encode(rule_volume())
    points = torch.tensor([[[64.0, 64.0, 64.0]]]), torch.tensor([[1]])
    logits, _ = model.decode(embedding, points=points, mask_logits=torch.zeros(1, 1, 32, 32, 32))
    assert bool(torch.isfinite(logits).all())


@pytest.mark.gpu
def test_a_gpu_gives_the_recorded_embedding(golden_network: nn.Module, golden_numbers: dict[str, np.ndarray]) -> None:
    model = Model(deepcopy(golden_network), spec=model_spec("seganypet"), device=resolve_device("cuda"))
    embedding = model.encode(rule_volume())
    assert embedding.device.type == "cuda"
    assert float(np.abs(embedding[0, ::48].cpu().numpy() - golden_numbers["embedding_sub"]).max()) < 5e-5
    points = golden_numbers["A_points"], golden_numbers["A_labels"]
    logits, _ = model.decode(embedding, points=points)
    assert float(np.abs(logits[..., 1::3, ::3, 2::3].numpy() - golden_numbers["A_masks"]).max()) < 2e-6


def test_a_registered_model_without_weights_tells_both_ways_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        load_model("seganypet-lesion", models_folder=tmp_path)
    for fact in ("models download seganypet-lesion", "YichiZhang98/SegAnyPET", f"to {tmp_path / 'seganypet-lesion'}"):
        assert fact in str(caught.value)


def test_a_name_that_is_not_registered_is_refused_with_those_that_are() -> None:
    with pytest.raises(ModelError, match=r"lite, seganypet, .* found 'segnet'"):
        load_model("segnet")


def test_lower_precision_is_another_answer_that_is_near_and_still_float32(lite_weights: Path) -> None:
    volume = torch.rand(1, 1, 32, 32, 32, generator=torch.Generator().manual_seed(2))
    points = torch.tensor([[[16.0, 10.0, 20.0]]]), torch.tensor([[1]])
    answers = []
    for precision in ("float32", "bfloat16"):
        model = load_model(lite_weights, device="cpu", precision=precision)
        answers.append(model.decode(model.encode(volume), points=points)[0])
    difference = float((answers[0] - answers[1]).abs().max())
    assert answers[1].dtype == torch.float32
    assert 0 < difference < 0.2 * float(answers[0].abs().max())


def test_a_gpu_too_small_for_the_weights_alone_is_the_cpu_from_the_start() -> None:
    class TooLarge(FailingNetwork):
        def to(self, device: torch.device) -> TooLarge:
            if device.type == "meta":
                msg = "CUDA out of memory."
                raise torch.OutOfMemoryError(msg)
            return self

    with pytest.warns(SegAnyPETWarning, match="goes on, slower, on the CPU"):
        model = Model(TooLarge(), spec=model_spec("seganypet"), device=torch.device("meta"))
    assert model.device == torch.device("cpu")
    assert float(model.encode(torch.zeros(1, 1, 2, 2, 2)).max()) == 1


class FailingNetwork(nn.Module):
    """Its memory is used up wherever `too_small` says; elsewhere it adds one."""

    def __init__(self, *too_small: str, error: Exception | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.too_small, self.error = too_small, error or torch.OutOfMemoryError("CUDA out of memory. Tried 2.00 GiB")

    def encode(self, volume: Tensor) -> Tensor:
        if volume.device.type in self.too_small:
            raise self.error
        return volume + self.weight

    def decode(self, embedding: Tensor, **_: object) -> tuple[Tensor, Tensor]:
        return self.encode(embedding), torch.zeros(1, 1)


def failing_model(*too_small: str, device: str, error: Exception | None = None) -> Model:
    network = FailingNetwork(*too_small, error=error)
    return Model(network, spec=model_spec("seganypet"), device=torch.device(device))


def test_out_of_memory_on_the_device_goes_on_on_the_cpu_and_says_so_once() -> None:
    volume = torch.full((1, 1, 2, 3, 4), 5.0)
    network = FailingNetwork("meta")
    # the device without storage stands for a GPU; its weights are put back as if they came from one
    model = Model(network, spec=model_spec("seganypet"), device=torch.device("meta"))
    model.network.weight = nn.Parameter(torch.ones(1))
    with pytest.warns(SegAnyPETWarning, match=r"memory of meta is used up \(CUDA out of memory.*seganypet goes on"):
        embedding = model.encode(volume)
    assert model.device == torch.device("cpu")
    assert torch.equal(embedding, volume + 1)
    assert torch.equal(model.encode(volume), volume + 1)  # warnings are errors here: there is no second one
    assert torch.equal(model.decode(embedding)[0], volume + 2)


def test_out_of_memory_in_a_batch_is_an_error_and_the_model_stays_where_it_is() -> None:
    model = failing_model("meta", device="meta")
    size = model.batch_size
    with model.batching(), pytest.raises(DeviceError, match="enough memory for seganypet"):
        model.encode(torch.zeros(4, 1, 2, 2, 2))
    assert model.device == torch.device("meta")
    model.network.weight = nn.Parameter(torch.ones(1))  # as if it came from a GPU
    with pytest.warns(SegAnyPETWarning, match="goes on, slower, on the CPU"):
        model.encode(torch.zeros(1, 1, 2, 2, 2))  # one alone cannot be made smaller
    assert model.batch_size < size


@pytest.mark.parametrize(
    "error",
    [MemoryError("no memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9 bytes")],
)
def test_out_of_memory_on_the_cpu_is_an_error_and_the_model_still_works(error: Exception) -> None:
    model = failing_model("cpu", device="cpu", error=error)
    with pytest.raises(DeviceError, match="enough memory for seganypet"):
        model.encode(torch.zeros(1, 1, 2, 2, 2))
    model.network.too_small = ()
    assert float(model.encode(torch.zeros(1, 1, 2, 2, 2)).max()) == 1


def test_other_errors_of_a_network_are_not_taken_for_lack_of_memory() -> None:
    model = failing_model("cpu", device="cpu", error=RuntimeError("shapes do not fit"))
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        model.encode(torch.zeros(1, 1, 2, 2, 2))


@pytest.mark.parametrize("name", ["cuda:99", "tpu", "", "cuda:x"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(DeviceError, match="Expected"):
        resolve_device(name)


def test_auto_is_the_cpu_where_there_is_no_nvidia_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == torch.device("cuda")


def test_a_missing_apple_device_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="Apple"):
        resolve_device("mps")


class Pair(NamedTuple):
    first: Tensor
    others: tuple[Tensor, ...]


def test_everything_in_nested_tuples_moves_and_keeps_its_type() -> None:
    moved = move(Pair(torch.zeros(2), (torch.ones(1), torch.ones(3))), torch.device("meta"))
    assert isinstance(moved, Pair)
    assert [tensor.device.type for tensor in (moved.first, *moved.others)] == ["meta"] * 3
    assert move(None, torch.device("meta")) is None


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"precision": "float16"}, "precision float32 or bfloat16"),
        ({"engine": "onnx"}, "engine torch or openvino"),
        ({"engine": "openvino", "precision": "int8"}, "precision float32 or bfloat16"),
        ({"engine": "openvino"}, "Expected architecture vit_b_ori"),
    ],
)
def test_an_engine_or_precision_that_cannot_be_had_is_refused(
    options: dict[str, str], expected: str, lite_weights: Path
) -> None:
    with pytest.raises(ModelError, match=expected):
        load_model(lite_weights, **options)


def test_an_engine_that_is_not_installed_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from SegAnyPETLib.model.image_encoder import EncoderConfig
    from SegAnyPETLib.model.openvino_encoder import compile_encoder
    from SegAnyPETLib.model.promptable_vit import PromptableViT

    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    network = PromptableViT(EncoderConfig(width=24, depth=1, heads=2, global_blocks=(), out_channels=48))
    with pytest.raises(SetupError, match=r"pip install 'seganypet\[fast\]'"):
        compile_encoder(network, spec=model_spec("seganypet"), device=torch.device("cpu"), precision="float32")
    with pytest.raises(DeviceError, match="Expected device cpu"):
        compile_encoder(network, spec=model_spec("seganypet"), device=torch.device("cuda"), precision="float32")

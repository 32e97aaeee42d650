"""The OpenVINO encoder computes the same function: in float32 to rounding, in bfloat16 to its own bound."""

from __future__ import annotations

import pytest
import torch
from golden_rule import rule_weights

from SegAnyPETLib.errors import GeometryError
from SegAnyPETLib.model import Model, model_spec
from SegAnyPETLib.model.image_encoder import EncoderConfig
from SegAnyPETLib.model.openvino_encoder import compile_encoder
from SegAnyPETLib.model.promptable_vit import PromptableViT

pytest.importorskip("openvino", reason="OpenVINO is not installed (pip install 'seganypet[fast]')")


@pytest.fixture(scope="module")
def a_small_model() -> Model:
    config = EncoderConfig(width=48, depth=1, heads=2, window=14, global_blocks=(), out_channels=48)
    network = PromptableViT(config)
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    network.load_state_dict({key: torch.from_numpy(value) for key, value in rule_weights(shapes, scale=0.1).items()})
    return Model(network, spec=model_spec("seganypet"), device=torch.device("cpu"))


@pytest.mark.parametrize(("precision", "bound"), [("float32", 5e-5), ("bfloat16", 0.2)])
def test_the_embedding_is_that_of_torch_within_the_bound_of_the_precision(
    precision: str, bound: float, a_small_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    telemetry = pytest.importorskip("openvino_telemetry", reason="this OpenVINO has no telemetry to send")
    monkeypatch.setattr(telemetry, "Telemetry", None)  # usage statistics would need it: nothing may be sent
    volume = torch.randn(2, 1, 128, 128, 128, generator=torch.Generator().manual_seed(8))
    expected = a_small_model.encode(volume)
    fast = Model(a_small_model.network, spec=a_small_model.spec, device=torch.device("cpu"))
    fast.use_encoder(compile_encoder(fast.network, spec=fast.spec, device=fast.device, precision=precision))
    found = fast.encode(volume)
    difference = float((found - expected).abs().max())
    assert found.shape == (2, 48, 8, 8, 8)
    assert difference < bound
    assert torch.equal(found, fast.encode(volume))
    logits, _ = fast.decode(found, points=(torch.tensor([[[9.0, 70.0, 100.0]]] * 2), torch.ones(2, 1)))
    assert logits.shape == (2, 4, 32, 32, 32)
    with pytest.raises(GeometryError, match="128"):
        fast.encode(volume[..., :64])

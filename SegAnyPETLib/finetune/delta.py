"""What a run changed, in a small file beside the base model: the weights that learned, and where they come from.

Low-rank changes are kept as such: 0.6 MB for SegAnyPET's encoder, where the changed weights would be 42 MB. The mask
decoder is 30 MB, that of `lite` 13 MB.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save_file
from torch import Tensor, nn

from SegAnyPETLib.data.atomic import write_atomically
from SegAnyPETLib.errors import ModelError, WeightsError
from SegAnyPETLib.finetune.checkpointing import changing_names, versions
from SegAnyPETLib.finetune.config import FineTuneConfig
from SegAnyPETLib.finetune.lora import merge_lora
from SegAnyPETLib.finetune.trained_parts import prepare_network
from SegAnyPETLib.model.checkpoint import read_checkpoint
from SegAnyPETLib.model.load import Model
from SegAnyPETLib.model.networks import build_network
from SegAnyPETLib.model.store import hash_file

LAYOUT = "seganypet-delta-1"
LONGEST_TEXT = 65_536  # of one entry of a file's description


@dataclass(frozen=True, eq=False)
class Delta:
    """What a file of changes holds.

    Attributes:
        path: The file.
        weights: Those that learned, by name in the prepared network.
        architecture: Of the base model.
        base_sha256: Hash of the base model's file.
        manifest_fingerprint: Of the cohort.
        config: Of the run.
        versions: Of the software that trained.
    """

    path: Path
    weights: Mapping[str, Tensor]
    architecture: str
    base_sha256: str
    manifest_fingerprint: str
    config: FineTuneConfig
    versions: Mapping[str, str]


def save_delta(
    path: Path | str,
    network: nn.Module,
    *,
    architecture: str,
    base_sha256: str,
    manifest_fingerprint: str,
    config: FineTuneConfig,
    weights: Mapping[str, Tensor] | None = None,
) -> int:
    """Write what learned, and return the size of the file in bytes.

    Args:
        path: To write to.
        network: As `prepare_network` left it and training changed it.
        architecture: Name that `build_network` takes.
        base_sha256: Of the base model's file.
        manifest_fingerprint: Of the cohort.
        config: Of the run; its `parts`, `lora_rank` and `lora_alpha` are those of the network.
        weights: Of this network, for example the averaged ones that `train` returned; its own where None.

    Raises:
        OutputError: It cannot be written.
    """
    source = network.state_dict() if weights is None else weights
    kept = {name: source[name].detach().cpu().contiguous() for name in sorted(changing_names(network))}
    facts = {
        "layout": LAYOUT,
        "base_architecture": architecture,
        "base_sha256": base_sha256,
        "manifest_fingerprint": manifest_fingerprint,
        "config": config.to_json(),
        "versions": json.dumps(versions(), sort_keys=True),
    }
    with write_atomically(path) as temporary:
        save_file(kept, temporary, metadata=facts)
    return Path(path).stat().st_size


def read_delta(path: Path | str) -> Delta:
    """Read a file of changes; nothing in it is executed.

    Raises:
        WeightsError: The file is absent, damaged, or of another kind.
    """
    checkpoint = read_checkpoint(path)
    said = checkpoint.metadata
    if said.get("layout") != LAYOUT or max(map(len, said.values())) > LONGEST_TEXT:
        msg = f"Expected changes of a model in {path}, found another file. Choose the file that fine-tuning wrote."
        raise WeightsError(msg)
    try:
        return Delta(
            path=checkpoint.path,
            weights=checkpoint.state,
            architecture=said["base_architecture"],
            base_sha256=said["base_sha256"],
            manifest_fingerprint=said["manifest_fingerprint"],
            config=FineTuneConfig.from_json(said["config"]),
            versions=_texts(json.loads(said["versions"])),
        )
    except (KeyError, ValueError, AttributeError, RecursionError, ModelError) as error:
        msg = f"Expected the changes in {path} to say what they were made from: {error}. Get the file again."
        raise WeightsError(msg) from error


def apply_delta(model: Model, path: Path | str) -> Delta:
    """Change a model, in place, to what a run made of it; low-rank changes are merged.

    Args:
        model: The base model, loaded from its file with the engine ``torch`` (OpenVINO would go on with the encoder it
            was given); it is left as it is where the changes do not fit.
        path: What `save_delta` wrote.

    Returns:
        What the file says.

    Raises:
        WeightsError: The file cannot be read, was made from another base model, does not fit the network exactly, or
            holds values that are not finite.
    """
    delta = read_delta(path)
    found = None if model.weights_path is None else hash_file(model.weights_path)
    if found != delta.base_sha256:
        msg = (
            f"Expected the base model with SHA-256 {delta.base_sha256[:16]} for {delta.path}, found "
            f"{found[:16] if found else 'a model that is of no file'}. Load the model these changes were made from."
        )
        raise WeightsError(msg)
    model.network.load_state_dict(merged_weights(model.network.state_dict(), delta))
    return delta


def merged_weights(base: Mapping[str, Tensor], delta: Delta) -> dict[str, Tensor]:
    """Plain weights of the base model with the changes inside, on the CPU, to be written or loaded as any model's.

    Raises:
        WeightsError: They do not fit each other, or hold values that are not finite.
    """
    try:
        network = build_network(delta.architecture)
        network.load_state_dict(dict(base))
    except (ModelError, RuntimeError) as error:
        msg = f"Expected a base model of architecture {delta.architecture!r} for {delta.path}; found another one."
        raise WeightsError(msg) from error
    settings = delta.config
    prepare_network(network, settings.parts, lora_rank=settings.lora_rank, lora_alpha=settings.lora_alpha)
    state, wanted = network.state_dict(), changing_names(network)
    if wanted != set(delta.weights):
        odd = sorted(wanted ^ set(delta.weights))
        msg = f"Expected the {len(wanted)} weights of {settings.parts} in {delta.path}; {_some(odd)} differ."
        raise WeightsError(msg)
    for name, value in delta.weights.items():
        _require_fit(delta.path, name, value, state[name])
    network.load_state_dict(state | dict(delta.weights))
    return merge_lora(network)


def _require_fit(path: Path, name: str, found: Tensor, wanted: Tensor) -> None:
    if found.shape != wanted.shape or found.is_floating_point() != wanted.is_floating_point():
        msg = (
            f"Expected {name} of shape {tuple(wanted.shape)} in {path}, found {tuple(found.shape)} of {found.dtype}. "
            "The changes are of another configuration."
        )
        raise WeightsError(msg)
    if not np.isfinite(found.float().numpy()).all():
        msg = f"Expected finite weights in {path}, found NaN or infinity in {name}. Get the file again."
        raise WeightsError(msg)


def _texts(entry: Any) -> dict[str, str]:  # whatever the file holds
    return {str(key): str(value) for key, value in entry.items()}


def _some(names: list[str]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")

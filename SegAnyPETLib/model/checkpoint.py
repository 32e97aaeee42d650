"""Weights from a file into a network: nothing in the file is executed, and nothing is left out silently."""

from __future__ import annotations

import argparse
import json
import pickle
import struct
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from SegAnyPETLib.errors import ModelError, WeightsError
from SegAnyPETLib.model.file_kind import describe_file, describe_keys
from SegAnyPETLib.model.networks import ARCHITECTURES, build_network
from SegAnyPETLib.model.spec import PreprocessingSpec

# The published trainer wraps the weights in a dictionary; others name the entry otherwise.
_WRAPPERS = ("model_state_dict", "state_dict", "model")
_NAMED_IN_MESSAGES = 4
# What torch's reader raises on damaged files, found by changing bytes at random; none of it comes from running a file.
_DAMAGED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The weights found in a file.

    Attributes:
        path: The file.
        state: Parameter name to tensor, on the CPU; may be mapped from the file, so copy before the file changes.
        metadata: What the file says about itself; only safetensors files can.
    """

    path: Path
    state: Mapping[str, Tensor]
    metadata: Mapping[str, str]

    @property
    def architecture(self) -> str:
        """The architecture of these weights: what the file says, else the one that shares most of its entries.

        Raises:
            WeightsError: It is none of ours.
        """
        if "architecture" in self.metadata:
            return self.metadata["architecture"]
        shared = {name: len(self.state.keys() & entries) for name, entries in _architecture_entries().items()}
        best = max(shared, key=lambda name: shared[name])
        if shared[best] > len(self.state) // 2:
            return best
        message = (
            f"Expected weights of {' or '.join(shared)} in {self.path}, found {describe_keys(self.state)}. "
            "Choose another file."
        )
        raise WeightsError(message)

    @property
    def preprocessing(self) -> PreprocessingSpec | None:
        """The preprocessing these weights were trained with, where the file says it.

        Raises:
            WeightsError: The file says something that is none.
        """
        if "preprocessing" not in self.metadata:
            return None
        try:
            return PreprocessingSpec.from_json(json.loads(self.metadata["preprocessing"]))
        except (ModelError, ValueError, AttributeError) as error:
            message = f"Expected the metadata of {self.path} to describe a preprocessing: {error}"
            raise WeightsError(message) from error


def read_checkpoint(path: Path | str) -> Checkpoint:
    """Read a `.safetensors` file, or a `.pth` file that holds a state dict, wrapped by a trainer or not.

    A `.pth` file is a pickle, which could run any program when read the ordinary way. It is read here by torch's
    restricted reader, which knows tensors, plain containers and `argparse.Namespace` and refuses all else.

    Raises:
        WeightsError: The file is absent, damaged, no checkpoint, or wants to run code.
    """
    path = Path(path)
    if not path.is_file():
        message = f"Expected a weights file at {path}, found {'a folder' if path.is_dir() else 'nothing'}."
        raise WeightsError(message)
    try:
        is_safetensors = _is_safetensors(path)
    except OSError as error:
        message = f"Expected to read {path}, found: {error}. Change its permissions or copy it elsewhere."
        raise WeightsError(message) from error
    if is_safetensors:
        state, metadata = _read_safetensors(path)
    else:
        state, metadata = _unwrap(path, _read_pickle(path)), {}
    if state and all(key.startswith("module.") for key in state):  # left by torch's DataParallel
        state = {key.removeprefix("module."): value for key, value in state.items()}
    return Checkpoint(path, state, metadata)


def load_checkpoint(source: Path | str | Checkpoint, *, architecture: str | None = None) -> nn.Module:
    """A network with the weights of a file: float32, on the CPU, in evaluation mode.

    Args:
        source: The file, or what `read_checkpoint` returned.
        architecture: Name that `build_network` takes; recognized from the file when not given.

    Raises:
        WeightsError: The file cannot be read (see `read_checkpoint`), does not fit the network exactly (the message
            says where), or holds values that are not finite.
        ModelError: No architecture has that name.
    """
    checkpoint = source if isinstance(source, Checkpoint) else read_checkpoint(source)
    network = build_network(architecture or checkpoint.architecture)
    fill_network(network, checkpoint)
    return network


def fill_network(network: nn.Module, checkpoint: Checkpoint) -> None:
    """Copy weights into a network whose entries have exactly the same names and shapes.

    Raises:
        WeightsError: A name or shape differs, or a value is not finite; the network is then unchanged.
    """
    expected = network.state_dict()
    missing, unexpected = expected.keys() - checkpoint.state.keys(), checkpoint.state.keys() - expected.keys()
    if missing or unexpected:
        differences = [_name_some(missing, "missing"), _name_some(unexpected, "unexpected")]
        message = (
            f"Expected the {len(expected)} entries of {type(network).__name__} in {checkpoint.path}, found "
            f"{' and '.join(text for text in differences if text)}. The file seems to hold "
            f"{describe_keys(checkpoint.state)}. Choose weights of this architecture."
        )
        raise WeightsError(message)
    for key, wanted in expected.items():
        found = checkpoint.state[key]
        if found.shape != wanted.shape:
            message = (
                f"Expected {key} of shape {tuple(wanted.shape)} in {checkpoint.path}, found {tuple(found.shape)}. "
                "The weights are of another configuration."
            )
            raise WeightsError(message)
        if not np.isfinite(found.float().numpy()).all():
            message = (
                f"Expected finite weights in {checkpoint.path}, found NaN or infinity in {key}. Get the file again."
            )
            raise WeightsError(message)
    network.load_state_dict(dict(checkpoint.state), strict=True)


@cache
def _architecture_entries() -> dict[str, frozenset[str]]:
    with torch.device("meta"):  # names only, no memory
        return {name: frozenset(build_network(name).state_dict()) for name in ARCHITECTURES}


def _is_safetensors(path: Path) -> bool:
    """A safetensors file opens with the length of its header and a JSON object, whatever it is called."""
    with path.open("rb") as file:
        opening = file.read(9)
    is_named = path.suffix.lower() == ".safetensors"
    return opening[8:9] == b"{" or (is_named and not opening.startswith((b"PK\x03\x04", b"\x80")))


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        message = (
            f"Expected safetensors weights in {path}, found {describe_file(path)} ({error}). "
            "It may be cut off: get the file again."
        )
        raise WeightsError(message) from error


def _read_pickle(path: Path) -> Any:  # whatever the file holds; `_unwrap` looks at it
    try:
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's guesses at what is wrong; the error says what we know
            # mapped, so that the optimizer's state in a training checkpoint is never read
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        found = describe_file(path)
        is_refused = "Unsupported" in str(error) and ("GLOBAL" in str(error) or "class" in str(error))
        reason = "a pickle that wants to run code or hold foreign objects" if is_refused else f"{found}, unreadable"
        message = (
            f"Expected plain weights in {path}, found {reason}; nothing in it was executed. Ask its author for "
            f"a .safetensors file. ({_first_sentence(error)})"
        )
        raise WeightsError(message) from error
    except _DAMAGED as error:
        message = (
            f"Expected weights in {path}, found {describe_file(path)} that cannot be read "
            f"({_first_sentence(error)}). It may be cut off or no checkpoint at all: get the file again."
        )
        raise WeightsError(message) from error


def _unwrap(path: Path, content: object) -> dict[str, Tensor]:
    if isinstance(content, Mapping):
        for wrapper in _WRAPPERS:
            if isinstance(content.get(wrapper), Mapping):
                content = content[wrapper]
                break
    is_state = isinstance(content, Mapping) and all(isinstance(value, Tensor) for value in content.values())
    if not isinstance(content, Mapping) or not is_state or not content:
        found = f"a dictionary of {', '.join(map(str, list(content)[:5]))}" if isinstance(content, Mapping) else ""
        message = (
            f"Expected a state dict, alone or under one of {', '.join(_WRAPPERS)}, in {path}; "
            f"found {found or type(content).__name__}."
        )
        raise WeightsError(message)
    return {str(key): value for key, value in content.items()}


def _name_some(keys: set[str], word: str) -> str:
    if not keys:
        return ""
    named = ", ".join(sorted(keys)[:_NAMED_IN_MESSAGES])
    more = ", ..." if len(keys) > _NAMED_IN_MESSAGES else ""
    return f"{len(keys)} {word} ({named}{more})"


def _first_sentence(error: Exception) -> str:
    return str(error).strip().split("\n")[0].split(". ")[0][:160]

"""One file for a site model: its changed weights and its card, to be read on a machine that trusts it with nothing.

A safetensors file, from which nothing can be executed. Its metadata are `format`, `about` (JSON, see `SiteAbout`) and
`card` (JSON, the training card). Tensors are entries of the network's state dict: those that differ from the base, or
all of them. Names, shapes and kinds are held against the architecture before any tensor is read.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
import uuid
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from SegAnyPETLib.errors import ModelError, OutputError, WeightsError
from SegAnyPETLib.model.checkpoint import Checkpoint, fill_network, load_checkpoint, read_checkpoint
from SegAnyPETLib.model.networks import ARCHITECTURES, build_network
from SegAnyPETLib.model.site_models import (
    LONGEST_JSON,
    SiteAbout,
    check_site_name,
    find_site_model,
    place_site_model,
    site_spec,
)
from SegAnyPETLib.model.spec import ModelSpec
from SegAnyPETLib.model.store import InstalledModel, check_hash, find_model, hash_file, how_to_get, list_models

FORMAT = "seganypet-site-model/1"
LONGEST_HEADER = 16 << 20  # bytes; the SegAnyPET network's, with a card, has less than 1 MB
_DTYPE_BYTES = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "U8": 1, "BOOL": 1}


def write_site_file(
    path: Path, state: Mapping[str, Tensor], about: SiteAbout, *, card: Mapping[str, Any], folder: Path | None = None
) -> SiteAbout:
    """Write a trained network as one file, whole or not at all.

    Args:
        path: Ends in `.safetensors`; replaced where it is there.
        state: The network's whole state dict, with nothing left to merge.
        about: With `holds="changed"` only what differs from `about.base` is written.
        card: JSON; whoever gets the file can read it.
        folder: Of downloaded weights; the user's own when None.

    Returns:
        `about` with the hash of the content.

    Raises:
        WeightsError: The base is absent or has other weights than `about` says.
        OutputError: The file cannot be written.
    """
    kept = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    if about.holds == "changed":
        base = _base_network(about, folder).state_dict()
        kept = {name: value for name, value in kept.items() if not torch.equal(value, base[name].to(value.dtype))}
    card_text = json.dumps(card, ensure_ascii=False, allow_nan=False)
    about = replace(about, content_sha256=_content_hash(kept, card_text))
    metadata = {"format": FORMAT, "about": json.dumps(asdict(about)), "card": card_text}
    if about.holds == "all":  # so that the file is also read as plain weights
        metadata |= {
            "architecture": about.architecture,
            "preprocessing": json.dumps(about.preprocessing),
            "licence": about.licence,
            "training_data": about.training_data,
        }
    temporary = path.with_name(f".{uuid.uuid4().hex[:12]}-{path.name}")
    try:
        save_file(kept, temporary, metadata=metadata)
        temporary.replace(path)
    except OSError as error:
        message = f"Expected to write {path}, found: {error}. Nothing was left half-written."
        raise OutputError(message) from error
    finally:
        temporary.unlink(missing_ok=True)
    return about


def read_site_file(path: Path) -> tuple[Checkpoint, SiteAbout, dict[str, Any]]:
    """Weights, description and card of a file that may come from anywhere.

    Raises:
        WeightsError: It is none of ours, too large for its architecture, damaged, or holds what the network has not.
    """
    header = _read_header(path)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        message = f"Expected a file written by seganypet models export, found another one: {path}. Choose another file."
        raise WeightsError(message)
    about = SiteAbout.from_json(str(metadata.get("about")), found_in=path)
    card_text = str(metadata.get("card"))
    if about.architecture not in ARCHITECTURES or len(card_text) > LONGEST_JSON:
        message = f"Expected an architecture out of {', '.join(ARCHITECTURES)} in {path}, found {about.architecture!r}."
        raise WeightsError(message)
    _check_entries(header, about, path)
    checkpoint = read_checkpoint(path)
    if _content_hash(checkpoint.state, card_text) != about.content_sha256:
        message = f"Expected the content that {path} was written with, found another. It is damaged: get it again."
        raise WeightsError(message)
    try:
        card = json.loads(card_text)
    except (ValueError, RecursionError) as error:
        message = f"Expected a card in {path}, found: {error}. Get the file again."
        raise WeightsError(message) from error
    return checkpoint, about, card if isinstance(card, dict) else {}


def is_site_file(checkpoint: Checkpoint) -> bool:
    """True for weights that say they are a site model's."""
    return checkpoint.metadata.get("format") == FORMAT


def site_network(path: Path, *, folder: Path | None = None) -> tuple[nn.Module, SiteAbout]:
    """The network of a site model's file, with the weights of its base where it holds only what changed.

    Raises:
        WeightsError: The file is damaged or none; the base is absent or has other weights than the file was made from.
    """
    checkpoint, about, _ = read_site_file(path)
    if about.holds == "all":
        return load_checkpoint(checkpoint, architecture=about.architecture), about
    network = _base_network(about, folder)
    whole = {**network.state_dict(), **checkpoint.state}
    fill_network(network, Checkpoint(path, whole, checkpoint.metadata))
    return network, about


def load_site_model(name: str, *, folder: Path | None = None) -> tuple[nn.Module, InstalledModel]:
    """The network of a site model in the store; its file is checked against its record.

    Raises:
        ModelError: There is no such model.
        WeightsError: See `site_network`.
    """
    installed = find_site_model(name, folder=folder)
    if not installed.path.is_file():
        message = (
            f"Expected the weights of {name} at {installed.path}, found nothing. Remove the model, import it again."
        )
        raise WeightsError(message)
    check_hash(installed)
    network, _ = site_network(installed.path, folder=folder)
    return network, installed


def spec_of_site_file(path: Path, about: SiteAbout) -> ModelSpec:
    """The entry for a site model that was named by its file."""
    return site_spec(about, name=path.stem)


def export_model(name: str, path: Path, *, folder: Path | None = None) -> Path:
    """Copy a site model to one file with its card, for another machine.

    Raises:
        ModelError: There is no site model of that name.
        WeightsError: Its file is damaged.
        OutputError: The file cannot be written, is there already, or does not end in `.safetensors`.
    """
    installed = find_site_model(name, folder=folder)
    check_hash(installed)
    if path.suffix.lower() != ".safetensors" or path.exists():
        message = f"Expected a new file name ending in .safetensors, found {path}. Choose another name."
        raise OutputError(message)
    temporary = path.with_name(f".{uuid.uuid4().hex[:12]}-{path.name}")
    try:
        shutil.copyfile(installed.path, temporary)
        temporary.replace(path)
    except OSError as error:
        message = f"Expected to write {path}, found: {error}. Choose a folder you may write to."
        raise OutputError(message) from error
    finally:
        temporary.unlink(missing_ok=True)
    return path


def import_model(path: Path, *, name: str | None = None, folder: Path | None = None) -> InstalledModel:
    """Take a site model from a file into the store, after trying that its network can be made here.

    Args:
        path: Written by `export_model` or by a fine-tuning run.
        name: Under which it is kept; the file's own name when None.
        folder: Of downloaded weights; the user's own when None.

    Raises:
        WeightsError: The file is none, is damaged, or its base is not here.
        ModelError: The name is no name or is taken.
        OutputError: The store cannot be written.
    """
    name = check_site_name(path.stem if name is None else name)
    _, about, card = read_site_file(path)
    site_network(path, folder=folder)  # an error here, and not when somebody wants to use it
    return place_site_model(path, about, card, name=name, folder=folder)


def base_facts(name: str, *, folder: Path | None = None) -> tuple[str, str]:
    """The registered model whose weights a model changes, with the hash of its file.

    A site model stands for the registered one below it, so that changes never pile up, and a file for the registered
    model that is here with the same content. Empty texts for any other file, of which all weights are kept.
    """
    try:
        installed = find_model(name, folder=folder)
    except ModelError:
        return _registered_twin(Path(name), folder)
    if installed.origin == "site":
        _, about, _ = read_site_file(installed.path)
        return about.base, about.base_sha256
    return installed.spec.name, hash_file(installed.path)


def _registered_twin(path: Path, folder: Path | None) -> tuple[str, str]:
    """The registered model whose weights file has the content of another file, with its hash; empty where none has."""
    if not path.is_file():
        return "", ""
    size, found = path.stat().st_size, ""
    for installed in list_models(folder=folder):
        if installed.origin in ("absent", "site") or installed.path.stat().st_size != size:
            continue
        found = found or hash_file(path)
        if hash_file(installed.path) == found:
            return installed.spec.name, found
    return "", ""


def _base_network(about: SiteAbout, folder: Path | None) -> nn.Module:
    installed = find_model(about.base, folder=folder)
    if installed.origin in ("absent", "site"):
        message = f"Expected the weights of {about.base}, which this model changes, found none. {how_to_get(installed)}"
        raise WeightsError(message)
    found = hash_file(installed.path)
    if found != about.base_sha256:
        message = (
            f"Expected {about.base} with SHA-256 {about.base_sha256[:12]}..., which this model was made from, found "
            f"{found[:12]}.... It needs the version of seganypet (or of the downloaded weights) that it was made with."
        )
        raise WeightsError(message)
    return load_checkpoint(installed.path, architecture=about.architecture)


def _read_header(path: Path) -> dict[str, Any]:
    """The JSON in front of a safetensors file, bounded before it is read.

    Source:
        https://github.com/huggingface/safetensors#format: 8 bytes little-endian length, then JSON, then the tensors.
    """
    try:
        with path.open("rb") as stream:
            opening = stream.read(8)
            length = struct.unpack("<Q", opening)[0] if len(opening) == 8 else 0
            header = json.loads(stream.read(length)) if 2 <= length <= LONGEST_HEADER else None
    except (OSError, ValueError, RecursionError) as error:
        message = f"Expected a site model (.safetensors) in {path}, found: {error}. Choose another file."
        raise WeightsError(message) from error
    if not isinstance(header, dict):
        message = f"Expected a site model (.safetensors) in {path}, found another kind of file. Choose another file."
        raise WeightsError(message)
    return header


def _check_entries(header: Mapping[str, Any], about: SiteAbout, path: Path) -> None:
    """Hold names, shapes and size against the architecture."""
    with torch.device("meta"):  # shapes only, no memory
        expected = {name: list(value.shape) for name, value in build_network(about.architecture).state_dict().items()}
    bytes_expected = 0
    for name, entry in header.items():
        shape = entry.get("shape") if isinstance(entry, dict) else None
        kind = _DTYPE_BYTES.get(str(entry.get("dtype"))) if isinstance(entry, dict) else None
        if expected.get(name) != shape or shape is None or kind is None:
            message = f"Expected entries of {about.architecture} in {path}, found {name[:80]!r} of shape {shape}."
            raise WeightsError(message)
        count = 1
        for size in shape:
            count *= size
        bytes_expected += kind * count
    found = path.stat().st_size
    if found > bytes_expected + LONGEST_HEADER + 8:
        message = f"Expected at most {bytes_expected} bytes of weights in {path}, found a file of {found}."
        raise WeightsError(message)


def _content_hash(state: Mapping[str, Tensor], card: str) -> str:
    digest = hashlib.sha256(card.encode())
    for name in sorted(state):
        value = state[name].detach().cpu().contiguous()
        digest.update(f"\n{name} {value.dtype} {tuple(value.shape)}\n".encode())
        plain = value.float() if value.dtype == torch.bfloat16 else value  # numpy has no bfloat16
        digest.update(plain.numpy().tobytes())
    return digest.hexdigest()

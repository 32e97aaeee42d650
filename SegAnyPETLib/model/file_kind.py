"""Guess what a file is that was given as weights, so that the error can say so."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

_OPENINGS = (
    (b"version https://git-lfs", "a Git LFS pointer: the text that stands for a file that was not downloaded"),
    (b"<!DOCTYPE", "a web page, perhaps saved in place of a download"),
    (b"<!doctype", "a web page, perhaps saved in place of a download"),
    (b"<html", "a web page, perhaps saved in place of a download"),
    (b"\x1f\x8b", "a gzip archive, for example a NIfTI image"),
    (b"NRRD", "an NRRD image"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x08\x00\x00\x00\x00", "an ONNX model"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x80", "a Python pickle"),
)

_NETWORKS = (
    (("image_encoder.patch_embed.proj.weight", "mask_decoder.iou_token.weight"), "a Segment Anything network"),
    (("network_weights",), "an nnU-Net checkpoint"),
    (("encoder.stages.0.0.convs.0.conv.weight",), "an nnU-Net network"),
    (("decoder.down2.0.weight",), "the lite network of this or another version"),
)


def describe_file(path: Path) -> str:
    """What the first bytes of a file look like, in words."""
    with path.open("rb") as file:
        opening = file.read(132)
    if not opening:
        return "an empty file"
    if opening[128:132] == b"DICM":
        return "a DICOM file"
    for magic, words in _OPENINGS:
        if opening.startswith(magic):
            return words
    return "a text file" if opening.isascii() and b"\0" not in opening else "a file of an unknown kind"


def describe_keys(keys: Collection[str]) -> str:
    """Which network a state dict seems to belong to, in words; the first names where none is recognized."""
    for needed, words in _NETWORKS:
        if all(key in keys for key in needed):
            return words
    return f"an unknown network with {len(keys)} entries such as {', '.join(sorted(keys)[:3]) or 'none'}"

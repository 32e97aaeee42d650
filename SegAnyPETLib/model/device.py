"""Choosing a device and moving what a network takes and gives."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from SegAnyPETLib.errors import DeviceError


def resolve_device(name: str) -> torch.device:
    """The device of that name, if it is there.

    Args:
        name: `auto` (an NVIDIA GPU when there is one, else the CPU), `cpu`, `cuda`, `cuda:1`, or `mps`. Apple's `mps`
            is never chosen by `auto`: nobody has tested it.

    Raises:
        DeviceError: There is no such device on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        message = f"Expected a device such as auto, cpu, cuda or cuda:0; found {name!r}."
        raise DeviceError(message) from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        there = torch.cuda.device_count()
        message = f"Expected an NVIDIA GPU for device {name!r}, found {there or 'none'} that torch can use. Use cpu."
        raise DeviceError(message)
    if device.type == "mps" and not torch.backends.mps.is_available():
        message = f"Expected Apple's graphics for device {name!r}, found none that torch can use. Use cpu."
        raise DeviceError(message)
    return device


def move(value: Any, device: torch.device) -> Any:  # a tensor, None, or tuples of them as deep as a network likes
    """Move a tensor, or every tensor in nested tuples (named or not), to a device."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, tuple):
        parts = [move(part, device) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error means that a device's memory is used up; the CPU's allocator says so in words only."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)

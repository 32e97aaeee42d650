"""The network architectures by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from SegAnyPETLib.errors import ModelError

if TYPE_CHECKING:
    from torch import nn


def build_network(architecture: str) -> nn.Module:
    """A network with untrained parameters, float32, on the CPU, in evaluation mode.

    It has two methods. `encode(volume)` takes a float tensor (B, 1, D, H, W) and returns the embedding.
    `decode(embedding, *, points=None, mask_logits=None)` takes point coordinates (B, N, 3) in voxels along the
    tensor's D, H, W axes with labels (B, N) (1 positive, 0 negative, -1 ignored), and the logits of an earlier mask,
    and returns `(logits, quality)` of shapes (B, C, d, h, w) and (B, C); channel 0 is the single mask.

    Args:
        architecture: `vit_b_ori` (SegAnyPET, SAM-Med3D) or `lite`.

    Raises:
        ModelError: No architecture has that name.
    """
    try:
        builder = _BUILDERS[architecture]
    except KeyError:
        message = f"Expected an architecture out of {', '.join(_BUILDERS)}; found {architecture!r}."
        raise ModelError(message) from None
    return builder().eval()


def _vit_b_ori() -> nn.Module:
    from SegAnyPETLib.model.promptable_vit import PromptableViT

    return PromptableViT()


def _lite() -> nn.Module:
    from SegAnyPETLib.model.lite import LiteNetwork

    return LiteNetwork()


_BUILDERS: dict[str, Callable[[], nn.Module]] = {"vit_b_ori": _vit_b_ori, "lite": _lite}
ARCHITECTURES = tuple(_BUILDERS)

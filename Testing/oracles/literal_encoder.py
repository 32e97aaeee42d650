"""The published image encoder computed literally: padded windows, every padding token a query and a key.

It shares no code with the library, so it is an oracle for the folded attention, and what `seganypet bench` compares
its speed with. Memory: one attention map is heads x 2744^2 floats (361 MB for the published sizes), several times over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional


def literal_encode(
    state: Mapping[str, Tensor], volume: Tensor, *, heads: int, window: int, global_blocks: Sequence[int]
) -> Tensor:
    """Embed a volume with the parameters of an image encoder.

    Args:
        state: State dict of the image encoder, without the prefix `image_encoder.`.
        volume: (B, 1, S, S, S), S a multiple of the patch size.
        heads: Attention heads.
        window: Edge of the attention window in tokens.
        global_blocks: Blocks that attend without window and padding.

    Returns:
        (B, C, G, G, G).
    """
    patch = state["patch_embed.proj.weight"]
    tokens = functional.conv3d(volume, patch, state["patch_embed.proj.bias"], stride=patch.shape[-1])
    tokens = tokens.permute(0, 2, 3, 4, 1) + state["pos_embed"]
    depth = 1 + max(int(key.split(".")[1]) for key in state if key.startswith("blocks."))
    for index in range(depth):
        block = {key.split(".", 2)[2]: value for key, value in state.items() if key.startswith(f"blocks.{index}.")}
        tokens = _block(block, tokens, heads=heads, window=0 if index in global_blocks else window)
    features = functional.conv3d(tokens.permute(0, 4, 1, 2, 3), state["neck.0.weight"])
    features = _normalize_channels(features, state["neck.1.weight"], state["neck.1.bias"])
    features = functional.conv3d(features, state["neck.2.weight"], padding=1)
    return _normalize_channels(features, state["neck.3.weight"], state["neck.3.bias"])


def literal_attention(block: Mapping[str, Tensor], tokens: Tensor, *, heads: int) -> Tensor:
    """Attention among all tokens (B, n, n, n, width), padding tokens being tokens like any other.

    Args:
        block: Parameters `qkv.*`, `proj.*` and `rel_pos_d`, `rel_pos_h`, `rel_pos_w` of one attention layer.
        tokens: (B, n, n, n, width).
        heads: Attention heads.
    """
    batch, edge, _, _, width = tokens.shape
    channels = width // heads
    qkv = functional.linear(tokens, block["qkv.weight"], block["qkv.bias"])
    qkv = qkv.reshape(batch, edge**3, 3, heads, channels).permute(2, 0, 3, 1, 4)
    q, k, v = qkv.reshape(3, batch * heads, edge**3, channels)
    logits = (q * channels**-0.5) @ k.transpose(1, 2)
    position = torch.arange(edge)
    table = position.unsqueeze(1) - position.unsqueeze(0) + edge - 1
    cube = q.reshape(batch * heads, edge, edge, edge, channels)
    by_d = torch.einsum("ndhwc,dkc->ndhwk", cube, block["rel_pos_d"][table])
    by_h = torch.einsum("ndhwc,hkc->ndhwk", cube, block["rel_pos_h"][table])
    by_w = torch.einsum("ndhwc,wkc->ndhwk", cube, block["rel_pos_w"][table])
    logits = logits.reshape(batch * heads, edge, edge, edge, edge, edge, edge)
    # the published broadcast: key axes are the last three, yet all tables vary along the last one only
    logits = logits + by_d[:, :, :, :, None, None, :]
    logits = logits + by_h[:, :, :, None, :, None, :]
    logits = logits + by_w[:, :, :, None, None, :, :]
    weights = logits.reshape(batch * heads, edge**3, edge**3).softmax(dim=-1)
    out = (weights @ v).reshape(batch, heads, edge**3, channels).transpose(1, 2)
    return functional.linear(out.reshape(tokens.shape), block["proj.weight"], block["proj.bias"])


def _block(block: Mapping[str, Tensor], tokens: Tensor, *, heads: int, window: int) -> Tensor:
    normal = functional.layer_norm(tokens, tokens.shape[-1:], block["norm1.weight"], block["norm1.bias"], 1e-6)
    attention = {key.removeprefix("attn."): value for key, value in block.items() if key.startswith("attn.")}
    edge = tokens.shape[1]
    missing = max(window - edge, 0)
    padded = functional.pad(normal, (0, 0, 0, missing, 0, missing, 0, missing))
    tokens = tokens + literal_attention(attention, padded, heads=heads)[:, :edge, :edge, :edge]
    normal = functional.layer_norm(tokens, tokens.shape[-1:], block["norm2.weight"], block["norm2.bias"], 1e-6)
    hidden = functional.gelu(functional.linear(normal, block["mlp.lin1.weight"], block["mlp.lin1.bias"]))
    return tokens + functional.linear(hidden, block["mlp.lin2.weight"], block["mlp.lin2.bias"])


def _normalize_channels(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    mean = features.mean(dim=1, keepdim=True)
    variance = (features - mean).square().mean(dim=1, keepdim=True)
    column = (1, -1, 1, 1, 1)
    return (features - mean) / torch.sqrt(variance + 1e-6) * weight.view(column) + bias.view(column)

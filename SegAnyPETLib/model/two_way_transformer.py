"""Attention in both directions between prompt tokens and the image, the core of the mask decoder."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from SegAnyPETLib.model.blocks import FeedForward


class ProjectedAttention(nn.Module):
    """Multi-head attention whose heads work in `width / downsample` channels.

    Source:
        Kirillov et al. 2023 (Segment Anything), appendix A.
    """

    def __init__(self, width: int, *, heads: int, downsample: int = 1) -> None:
        super().__init__()
        inner = width // downsample
        self.heads = heads
        self.q_proj = nn.Linear(width, inner)
        self.k_proj = nn.Linear(width, inner)
        self.v_proj = nn.Linear(width, inner)
        self.out_proj = nn.Linear(inner, width)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend from (B, Q, width) to (B, K, width) and return (B, Q, width)."""
        q, k, v = (
            projection(tokens).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projection, tokens in ((self.q_proj, query), (self.k_proj, key), (self.v_proj, value))
        )
        attended = functional.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.out_proj(attended.transpose(1, 2).flatten(-2))
        return out


class TwoWayLayer(nn.Module):
    """Tokens attend to each other, then to the image; then the image attends to the tokens.

    In the first layer the self-attention sees no positions and replaces its input instead of being added to it.
    """

    def __init__(self, width: int, *, heads: int, hidden: int, is_first: bool) -> None:
        super().__init__()
        self.is_first = is_first
        self.self_attn = ProjectedAttention(width, heads=heads)
        self.norm1 = nn.LayerNorm(width)
        self.cross_attn_token_to_image = ProjectedAttention(width, heads=heads, downsample=2)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = FeedForward(width, hidden, activation=nn.ReLU)
        self.norm3 = nn.LayerNorm(width)
        self.norm4 = nn.LayerNorm(width)
        self.cross_attn_image_to_token = ProjectedAttention(width, heads=heads, downsample=2)

    def forward(self, tokens: Tensor, image: Tensor, *, token_pe: Tensor, image_pe: Tensor) -> tuple[Tensor, Tensor]:
        """Update tokens (B, T, width) and image (B, V, width); the encodings have the same shapes."""
        if self.is_first:
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            placed = tokens + token_pe
            tokens = tokens + self.self_attn(placed, placed, tokens)
        tokens = self.norm1(tokens)
        tokens = self.norm2(tokens + self.cross_attn_token_to_image(tokens + token_pe, image + image_pe, image))
        tokens = self.norm3(tokens + self.mlp(tokens))
        image = self.norm4(image + self.cross_attn_image_to_token(image + image_pe, tokens + token_pe, tokens))
        return tokens, image


class TwoWayTransformer(nn.Module):
    """Layers of two-way attention and a last look of the tokens at the image."""

    def __init__(self, width: int, *, depth: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            TwoWayLayer(width, heads=heads, hidden=hidden, is_first=index == 0) for index in range(depth)
        )
        self.final_attn_token_to_image = ProjectedAttention(width, heads=heads, downsample=2)
        self.norm_final_attn = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, image: Tensor, *, image_pe: Tensor) -> tuple[Tensor, Tensor]:
        """Relate tokens and image.

        Args:
            tokens: (B, T, width); they are their own position encoding in every layer.
            image: Image embedding as (B, V, width).
            image_pe: Position encoding of the V cells, (1 or B, V, width).

        Returns:
            Tokens (B, T, width) and image (B, V, width).
        """
        token_pe = tokens
        for layer in self.layers:
            tokens, image = layer(tokens, image, token_pe=token_pe, image_pe=image_pe)
        attended = self.final_attn_token_to_image(tokens + token_pe, image + image_pe, image)
        return self.norm_final_attn(tokens + attended), image

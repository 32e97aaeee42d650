"""Self-attention of the image encoder: the published function, without computing on its padding."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class VolumeAttention(nn.Module):
    r"""Multi-head attention over a cubic grid of tokens with a relative position term, inside one padded window.

    The published network pads the 8^3 token grid with zeros to its window of 14^3 after the first normalization and
    lets the 2232 padding tokens take part as keys. A padding token has q, k, v equal to the biases, so all of them
    share one value vector and their weights can be summed in closed form: they are folded here into ONE extra key.
    This is exact (no approximation), and leaves 513 keys and 512 queries of 2744 each.

    Logit of query (d, h, w) and key (i, j, k), for window n, with q not scaled in the relative terms:

        q[d,h,w].K[i,j,k] / sqrt(c) + q[d,h,w].Rd[d-k+n-1] + q[d,h,i].Rh[h-k+n-1] + q[d,h,j].Rw[j-k+n-1]

    All tables are looked up against the LAST key index, and the second and third use the query vectors of two other
    tokens. This is not the decomposition of the ViTDet paper, but it is what the published weights were trained with.

    The extra key has value v-bias and logit q.k_bias / sqrt(c) + LSE_k(q.Rd[d-k+n-1] + S[d,h,k]), where S[d,h,k] is
    the log of the sum over the padding keys (i, j, k) of exp(B[i,k] + C[j,k]), B and C being the last two terms:

        k >= 8:  S = LSE_i B + LSE_j C                                      (all i and j of the window are padding)
        k <  8:  S = log( exp(LSE_{i>=8} B + LSE_j C) + exp(LSE_{i<8} B + LSE_{j>=8} C) )

    Args:
        width: Channels of a token.
        heads: Attention heads; `width` is a multiple.
        grid: Tokens along each axis.
        window: Edge of the window the grid is padded to; equal to `grid` for global attention.

    Source:
        Wang et al. 2023 (SAM-Med3D, arXiv:2310.15161); Li et al. 2022 (ViTDet, arXiv:2203.16527) for the decomposed
        relative position of which this is a variant. The folding is ours.
    """

    def __init__(self, width: int, *, heads: int, grid: int, window: int) -> None:
        super().__init__()
        self.heads, self.grid, self.window = heads, grid, window
        self.channels = width // heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.rel_pos_d = nn.Parameter(torch.zeros(2 * window - 1, self.channels))
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * window - 1, self.channels))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * window - 1, self.channels))
        offset = torch.arange(window)[:, None] - torch.arange(window)[None, :] + window - 1
        self.register_buffer("offset", offset, persistent=False)

    offset: Tensor

    def forward(self, tokens: Tensor) -> Tensor:
        """Attend within (B, G, G, G, width) and return the same shape."""
        batch, width, count = tokens.shape[0], tokens.shape[-1], self.grid**3
        qkv = self.qkv(tokens).reshape(batch, count, 3, self.heads, self.channels).permute(2, 0, 3, 1, 4)
        query, key, value = qkv.unbind(0)  # each (B, heads, G^3, c)
        along_d, along_h, along_w = self._relative_terms(query)
        bias = along_d[..., None, None, : self.grid] + (
            along_h[..., : self.grid].unsqueeze(-2) + along_w[..., : self.grid].unsqueeze(-3)
        ).unsqueeze(-4)  # (B, heads, d, h, w, i, j, k)
        bias = bias.reshape(batch, self.heads, count, count)
        if self.window > self.grid:
            extra_key, extra_value, extra_bias = self._fold_padding(along_d, along_h, along_w)
            key = torch.cat([key, extra_key.expand(batch, -1, -1, -1)], dim=2)
            value = torch.cat([value, extra_value.expand(batch, -1, -1, -1)], dim=2)
            bias = torch.cat([bias, extra_bias.reshape(batch, self.heads, count, 1)], dim=3)
        out = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        out = out.transpose(1, 2).reshape(batch, self.grid, self.grid, self.grid, width)
        projected: Tensor = self.proj(out)
        return projected

    def _relative_terms(self, query: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The three relative position terms of the real tokens.

        Args:
            query: (B, heads, G^3, c).

        Returns:
            q.Rd (B, heads, d, h, w, k), q.Rh (B, heads, d, h, i, k) and q.Rw (B, heads, d, h, j, k), k over the window.
        """
        q = query.reshape(*query.shape[:2], self.grid, self.grid, self.grid, self.channels)
        rows = self.offset[: self.grid]
        along_d = torch.einsum("bndhwc,dkc->bndhwk", q, self.rel_pos_d[rows])
        along_h = torch.einsum("bndhic,hkc->bndhik", q, self.rel_pos_h[rows])
        along_w = torch.einsum("bndhjc,jkc->bndhjk", q, self.rel_pos_w[rows])
        return along_d, along_h, along_w

    def _fold_padding(self, along_d: Tensor, along_h: Tensor, along_w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One key, value and bias that stand for every padding token of the window (formula: see the class).

        Returns:
            Key and value (1, heads, 1, c); bias without the q.k term (B, heads, d, h, w).
        """
        query_bias, key_bias, value_bias = self.qkv.bias.view(3, self.heads, self.channels)
        grid, window = self.grid, self.window
        # a padding token's query is the bias, whatever i and d are: (heads, h, k), counted window - grid times
        pad_h = torch.einsum("nc,hkc->nhk", query_bias, self.rel_pos_h[self.offset[:grid]]) + math.log(window - grid)
        pad_w = torch.einsum("nc,jkc->njk", query_bias, self.rel_pos_w[self.offset[grid:]]).logsumexp(1)
        real_h, real_w = along_h.logsumexp(-2), along_w.logsumexp(-2)  # (B, heads, d, h, k)
        pad_h, pad_w = pad_h[None, :, None], pad_w[None, :, None, None]
        all_w = torch.logaddexp(real_w, pad_w)
        beyond = torch.logaddexp(real_h, pad_h) + all_w
        beside = torch.logaddexp(pad_h + all_w, real_h + pad_w)
        total = torch.cat([beside[..., :grid], beyond[..., grid:]], dim=-1)
        bias = (along_d + total.unsqueeze(-2)).logsumexp(-1)
        return key_bias[None, :, None], value_bias[None, :, None], bias

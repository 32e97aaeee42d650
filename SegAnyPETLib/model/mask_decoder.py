"""From image embedding and prompt embeddings to mask logits and quality predictions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from SegAnyPETLib.model.blocks import LayerNorm3d, LinearStack
from SegAnyPETLib.model.two_way_transformer import TwoWayTransformer


class MaskDecoder(nn.Module):
    """Predicts one mask per mask token: token 0 the single mask, the others the multi-mask output.

    Args:
        width: Channels of the embeddings.
        masks: Mask tokens.

    Source:
        Kirillov et al. 2023 (Segment Anything), appendix A; Wang et al. 2023 (SAM-Med3D, arXiv:2310.15161).
    """

    def __init__(self, width: int, *, masks: int = 4) -> None:
        super().__init__()
        self.transformer = TwoWayTransformer(width, depth=2, heads=8, hidden=2048)
        self.iou_token = nn.Embedding(1, width)
        self.mask_tokens = nn.Embedding(masks, width)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose3d(width, width // 4, kernel_size=2, stride=2),
            LayerNorm3d(width // 4),
            nn.GELU(),
            nn.ConvTranspose3d(width // 4, width // 8, kernel_size=2, stride=2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(
            LinearStack(width, width, width, width // 8) for _ in range(masks)
        )
        self.iou_prediction_head = LinearStack(width, 256, 256, masks)

    def forward(self, image: Tensor, image_pe: Tensor, *, sparse: Tensor, dense: Tensor) -> tuple[Tensor, Tensor]:
        """Decode P sets of prompts.

        Args:
            image: Image embedding (P, width, G, G, G).
            image_pe: Position encoding of its cells (1, width, G, G, G).
            sparse: Prompt tokens (P, T, width).
            dense: Prompt volume (P, width, G, G, G).

        Returns:
            Mask logits (P, masks, 4 G, 4 G, 4 G) and predicted quality (P, masks).
        """
        own = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        tokens = torch.cat([own.expand(len(sparse), -1, -1), sparse], dim=1)
        cells = (image + dense).flatten(2).transpose(1, 2)
        tokens, cells = self.transformer(tokens, cells, image_pe=image_pe.flatten(2).transpose(1, 2))
        features = self.output_upscaling(cells.transpose(1, 2).reshape(image.shape))
        mask_tokens = tokens[:, 1 : len(own)]
        kernels = torch.stack(
            [stack(mask_tokens[:, index]) for index, stack in enumerate(self.output_hypernetworks_mlps)], dim=1
        )
        logits = torch.einsum("pmc,pcdhw->pmdhw", kernels, features)
        return logits, self.iou_prediction_head(tokens[:, 0])

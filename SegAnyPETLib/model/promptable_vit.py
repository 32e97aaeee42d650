"""The whole reference network: image encoder, prompt encoder and mask decoder of the `vit_b_ori` configuration."""

from __future__ import annotations

from torch import Tensor, nn

from SegAnyPETLib.errors import GeometryError, PromptError
from SegAnyPETLib.model.image_encoder import EncoderConfig, ImageEncoder
from SegAnyPETLib.model.mask_decoder import MaskDecoder
from SegAnyPETLib.model.prompt_encoder import PromptEncoder


class PromptableViT(nn.Module):
    """SegAnyPET and SAM-Med3D; parameter names and shapes are those of the published checkpoints.

    Args:
        config: Sizes of the encoder; the published ones unless a test wants fewer blocks.

    Source:
        Zhang et al. 2025 (SegAnyPET, arXiv:2502.14351); Wang et al. 2023 (SAM-Med3D, arXiv:2310.15161).
    """

    def __init__(self, config: EncoderConfig | None = None) -> None:
        super().__init__()
        config = config or EncoderConfig()
        self.image_encoder = ImageEncoder(config)
        self.prompt_encoder = PromptEncoder(config.out_channels, image_size=config.image_size, grid=config.grid)
        self.mask_decoder = MaskDecoder(config.out_channels)

    def encode(self, volume: Tensor) -> Tensor:
        """Embed a normalized volume.

        Args:
            volume: (B, 1, 128, 128, 128).

        Returns:
            (B, 384, 8, 8, 8).

        Raises:
            GeometryError: The volume has another shape.
        """
        embedding: Tensor = self.image_encoder(volume)
        return embedding

    def decode(
        self, embedding: Tensor, *, points: tuple[Tensor, Tensor] | None = None, mask_logits: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Predict masks for P sets of prompts.

        One image may be given several sets of prompts: an embedding of B images is then repeated, P / B times each.

        Args:
            embedding: (B, 384, 8, 8, 8).
            points: Coordinates (P, N, 3) in voxels along the volume's D, H, W axes and labels (P, N): 1 positive,
                0 negative, -1 ignored.
            mask_logits: Logits of an earlier mask, (P, 1, 32, 32, 32). The published weights were trained with zeros
                at the first click, never without a mask.

        Returns:
            Logits (P, 4, 32, 32, 32): mask 0 is the single mask, 1 to 3 the multi-mask output, and the predicted
            quality (P, 4). In the published weights only mask 0 was trained; do not rank by the quality.

        Raises:
            PromptError: Points, labels or mask have another shape, or their number is no multiple of the images'.
            GeometryError: The embedding has another shape.
        """
        prompts = self._count_prompts(embedding, points, mask_logits)
        sparse, dense = self.prompt_encoder(points, mask_logits, prompts=prompts)
        image = embedding.repeat_interleave(prompts // len(embedding), dim=0)
        logits, quality = self.mask_decoder(image, self.prompt_encoder.dense_pe, sparse=sparse, dense=dense)
        return logits, quality

    def _count_prompts(
        self, embedding: Tensor, points: tuple[Tensor, Tensor] | None, mask_logits: Tensor | None
    ) -> int:
        encoder = self.prompt_encoder
        cells = (encoder.width, encoder.grid, encoder.grid, encoder.grid)
        if embedding.ndim != 5 or tuple(embedding.shape[1:]) != cells:
            message = (
                f"Expected an embedding of shape (B, {', '.join(map(str, cells))}), found {tuple(embedding.shape)}."
            )
            raise GeometryError(message)
        counts = set()
        if points is not None:
            coordinates, labels = points
            if coordinates.ndim != 3 or coordinates.shape[2] != 3 or labels.shape != coordinates.shape[:2]:
                found = f"{tuple(coordinates.shape)} and {tuple(labels.shape)}"
                message = f"Expected point coordinates (P, N, 3) with labels (P, N), found {found}."
                raise PromptError(message)
            counts.add(len(coordinates))
        if mask_logits is not None:
            edge = 4 * encoder.grid
            if mask_logits.ndim != 5 or tuple(mask_logits.shape[1:]) != (1, edge, edge, edge):
                message = f"Expected mask logits (P, 1, {edge}, {edge}, {edge}), found {tuple(mask_logits.shape)}."
                raise PromptError(message)
            counts.add(len(mask_logits))
        prompts = counts.pop() if counts else len(embedding)
        if counts or prompts == 0 or prompts % len(embedding):
            message = f"Expected as many points as masks, a multiple of {len(embedding)} images; found {prompts}"
            raise PromptError(f"{message} and {counts.pop()}." if counts else f"{message}.")
        return prompts

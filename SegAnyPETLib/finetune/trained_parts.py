"""Which weights learn: the decoder, low-rank changes of the encoder too, or everything."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from SegAnyPETLib.errors import ModelError
from SegAnyPETLib.finetune.config import PARTS, Parts
from SegAnyPETLib.finetune.lora import LowRankChange, add_change
from SegAnyPETLib.model.image_encoder import EncoderBlock
from SegAnyPETLib.model.lite import LiteNetwork
from SegAnyPETLib.model.promptable_vit import PromptableViT

CHANGED_BLOCKS = 6  # the last ones of the transformer
QUERY, KEY, VALUE = range(3)  # order of the fused layer's rows


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that learn at one rate.

    Attributes:
        name: ``encoder``, ``changes`` (low-rank, of the encoder), ``decoder`` or ``all``.
        parameters: They.
        rate: Of theirs, as a multiple of the run's learning rate.
    """

    name: str
    parameters: tuple[nn.Parameter, ...]
    rate: float = 1.0

    @property
    def count(self) -> int:
        """Numbers that learn."""
        return sum(parameter.numel() for parameter in self.parameters)


def prepare_network(
    network: nn.Module,
    parts: Parts,
    *,
    lora_rank: int = 8,
    lora_alpha: float = 16.0,
    encoder_rate: float = 1.0,
    decoder_rate: float = 1.0,
    seed: int = 0,
) -> tuple[ParameterGroup, ...]:
    """Freeze what shall not learn, in place; the network's answers stay what they are.

    ============ ========================================== ============================================================
    parts        `lite`                                     SegAnyPET and SAM-Med3D (`vit_b_ori`)
    ============ ========================================== ============================================================
    ``decoder``  the decoder                                the mask decoder
    ``lora``     the decoder, and low-rank changes of all   the mask decoder, and low-rank changes of the queries and
                 convolutions of the encoder's two deepest  values of the last six blocks; the prompt encoder and the
                 levels (``level3`` and ``level4``)         tables of relative positions stay
    ``full``     everything                                 everything
    ============ ========================================== ============================================================

    Args:
        network: On its device; any network for ``full``.
        parts: What learns.
        lora_rank: Of the low-rank changes.
        lora_alpha: Over the rank, what they are multiplied with.
        encoder_rate: Multiple of the learning rate for encoder or changes.
        decoder_rate: The same for all else.
        seed: Of the first values of the low-rank changes.

    Raises:
        ModelError: There is no such choice, or not for this network, or the network was prepared before.
    """
    if parts not in PARTS:
        msg = f"Expected parts among {', '.join(PARTS)}; found {parts!r}."
        raise ModelError(msg)
    if any(hasattr(module, "parametrizations") for module in network.modules()):
        msg = "Expected a network as it was loaded; this one has low-rank changes already. Load it again."
        raise ModelError(msg)
    encoder, decoder = _encoder_and_decoder(network)
    if encoder is None or decoder is None:
        if parts == "full":
            network.requires_grad_(True)
            return (ParameterGroup("all", tuple(network.parameters()), decoder_rate),)
        msg = f"Expected lite or SegAnyPET's network for {parts}; found {type(network).__name__}. Choose full."
        raise ModelError(msg)
    network.requires_grad_(parts == "full")
    if parts == "full":
        inside = {id(parameter) for parameter in encoder.parameters()}
        others = tuple(parameter for parameter in network.parameters() if id(parameter) not in inside)
        return (
            ParameterGroup("encoder", tuple(encoder.parameters()), encoder_rate),
            ParameterGroup("decoder", others, decoder_rate),
        )
    groups = [ParameterGroup("decoder", tuple(decoder.requires_grad_(True).parameters()), decoder_rate)]
    if parts == "lora":
        changes = _add_changes(network, rank=lora_rank, alpha=lora_alpha, seed=seed)
        groups.insert(0, ParameterGroup("changes", changes, encoder_rate))
    return tuple(groups)


def set_training_mode(network: nn.Module) -> None:
    """Training mode for what learns, evaluation mode for every part of which nothing does."""
    network.train()
    for module in network.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()


def _encoder_and_decoder(network: nn.Module) -> tuple[nn.Module | None, nn.Module | None]:
    if isinstance(network, LiteNetwork):
        return network.encoder, network.decoder
    if isinstance(network, PromptableViT):
        return network.image_encoder, network.mask_decoder
    return None, None


def _add_changes(network: nn.Module, *, rank: int, alpha: float, seed: int) -> tuple[nn.Parameter, ...]:
    generator = torch.Generator().manual_seed(seed)
    parameters: list[nn.Parameter] = []
    if isinstance(network, PromptableViT):
        blocks = [block for block in network.image_encoder.blocks if isinstance(block, EncoderBlock)]
        for block in blocks[-CHANGED_BLOCKS:]:
            layer = block.attn.qkv
            change = LowRankChange(
                layer.weight, rank=rank, alpha=alpha, generator=generator, parts=3, changed=(QUERY, VALUE)
            )
            parameters += add_change(layer, change)
    elif isinstance(network, LiteNetwork):
        for level in (network.encoder.level3, network.encoder.level4):
            for convolution in [module for module in level.modules() if isinstance(module, nn.Conv3d)]:
                change = LowRankChange(convolution.weight, rank=rank, alpha=alpha, generator=generator)
                parameters += add_change(convolution, change)
    return tuple(parameters)

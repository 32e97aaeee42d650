"""Low-rank changes of some weights: W + alpha / r * B A, of which only A and B learn.

The change is made on the weight, by torch's parametrization, and not beside the layer: linear layers and convolutions
are treated alike, the bias that the attention of SegAnyPET folds into its padding stays what it is, and merging is
exact. The price is that there is no dropout on the layer's input, where recipes have 0.05: a changed weight never sees
the input. Dropout would also have to be drawn for each crop by its number in the step, or a run with fewer crops in
memory, or with more processes, would no longer take the same steps. What it would add was not measured; few steps,
replayed cases and the choice of the best validation stand against learning by heart.

Source:
    Hu et al. 2021, LoRA, arXiv:2106.09685. A is drawn from Kaiming's uniform distribution and B is 0, so that the
    network is unchanged before the first step.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

MARK = "parametrizations.weight"  # in the names of a changed layer's weights


class LowRankChange(nn.Module):
    """What is added to one weight.

    Args:
        weight: That is changed, (out, in, ...); only its shape is used.
        rank: Of each change.
        alpha: Divided by the rank, what the change is multiplied with.
        generator: Draws A.
        parts: Into how many equal parts the rows are cut, for layers that are several in one.
        changed: Which of these parts are changed, each by its own A and B.
    """

    def __init__(
        self,
        weight: Tensor,
        *,
        rank: int,
        alpha: float,
        generator: torch.Generator,
        parts: int = 1,
        changed: tuple[int, ...] = (0,),
    ) -> None:
        super().__init__()
        self.parts, self.changed, self.scale = parts, changed, alpha / rank
        rows, columns = weight.shape[0] // parts, math.prod(weight.shape[1:])
        first = torch.empty(len(changed), rank, columns)
        for one in first:
            nn.init.kaiming_uniform_(one, a=math.sqrt(5), generator=generator)
        self.first = nn.Parameter(first.to(weight.device))  # A
        self.second = nn.Parameter(torch.zeros(len(changed), rows, rank, device=weight.device))  # B

    def forward(self, weight: Tensor) -> Tensor:
        """The changed weight, shaped as `weight`."""
        change = self.scale * (self.second @ self.first)  # (changed, rows, columns)
        if self.parts == 1:
            return weight + change.view(weight.shape)
        nothing = torch.zeros_like(change[0])
        rows = [change[self.changed.index(n)] if n in self.changed else nothing for n in range(self.parts)]
        return weight + torch.cat(rows).view(weight.shape)


def add_change(layer: nn.Module, change: LowRankChange) -> tuple[nn.Parameter, ...]:
    """Let a layer use a changed weight; returns the parameters that may learn."""
    parametrize.register_parametrization(layer, "weight", change)
    return change.first, change.second


def merge_lora(network: nn.Module, weights: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """Plain weights with the changes inside, for a network that never had any.

    Args:
        network: That has changes, or none; it is left as it is.
        weights: Of such a network, for example averaged ones; its own where None.

    Returns:
        Names and shapes as before `add_change`.
    """
    if not any(parametrize.is_parametrized(module) for module in network.modules()):
        return dict(network.state_dict() if weights is None else weights)
    plain = copy.deepcopy(network)
    if weights is not None:
        plain.load_state_dict(weights)
    # Not torch's `remove_parametrizations`: a copy shares its class with the network, which would lose its changes too.
    merged = {name: value for name, value in plain.state_dict().items() if f".{MARK}." not in name}
    for name, module in plain.named_modules():
        if parametrize.is_parametrized(module, "weight"):
            merged[f"{name}.weight"] = _changed_weight(module)
    return {name: value.detach() for name, value in merged.items()}


def _changed_weight(layer: nn.Module) -> Tensor:
    weight: Tensor = layer.weight  # type: ignore[assignment]  # computed by the parametrization
    return weight

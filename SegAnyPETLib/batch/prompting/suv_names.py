"""How numbers in SUV are named and written in facts and sentences."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from SegAnyPETLib.suv import SUVVolume

# Of one uptake in a typical adult (70 kg, 170 cm), what another normalizer gives for SUVbw 1: the mass or surface by
# `suv.body` over the weight. Only limits that were stated in SUVbw are scaled by it, never a measure.
TYPICAL_PER_SUVBW: Mapping[str, float] = MappingProxyType({"bw": 1.0, "lbm": 0.7, "ibw": 0.95, "bsa": 0.26})


def fact_name(quantity: str, image: SUVVolume) -> str:
    """A name with kind and unit, for example ``liver_mean_suvbw_g_per_ml``."""
    return f"{quantity}_suv{image.kind}_{image.unit.replace('/', '_per_')}"


def in_words(value: float, image: SUVVolume) -> str:
    """For example ``SUVbw 4.00 g/ml``."""
    return f"SUV{image.kind} {value:.2f} {image.unit}"


def typical_limit(limit_suvbw: float, image: SUVVolume) -> float:
    """A limit that was stated in SUVbw, in the kind of `image`, for a typical adult."""
    return limit_suvbw * TYPICAL_PER_SUVBW[image.kind]

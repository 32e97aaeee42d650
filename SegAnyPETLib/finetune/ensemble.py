"""Several independent prompts on one image: what they agree on, and how unsure they are (cross prompting)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatVolume = NDArray[np.float32]


@dataclass(frozen=True)
class Ensemble:
    """The answers to several prompt sets, together.

    Attributes:
        mean: Mean probability, (K, J, I).
        total_bits: Entropy of the mean: everything that is uncertain, the blurred rim included.
        aleatoric_bits: Mean of the entropies: what each answer alone is unsure of.
        epistemic_bits: Their difference, the mutual information of answer and prompt: how much depends on where one
            clicks. 0 where all prompts agree.

    Source:
        Depeweg et al. 2018, ICML, arXiv:1710.07283 (the decomposition); Zhang et al. 2023, UR-SAM, arXiv:2311.10529
        (many prompts of a promptable network as ensemble).
    """

    mean: FloatVolume
    total_bits: FloatVolume
    aleatoric_bits: FloatVolume
    epistemic_bits: FloatVolume


def combine(probabilities: NDArray[np.floating]) -> Ensemble:
    """Combine the probabilities (P, K, J, I) that P prompt sets gave."""
    values = np.asarray(probabilities, dtype=np.float64)
    mean = values.mean(axis=0)
    total, aleatoric = entropy_bits(mean), entropy_bits(values).mean(axis=0)
    epistemic = np.maximum(total - aleatoric, 0)  # rounding may leave it a little below
    return Ensemble(*(part.astype(np.float32) for part in (mean, total, aleatoric, epistemic)))


def entropy_bits(probability: NDArray[np.floating]) -> NDArray[np.float64]:
    """Entropy of a yes-or-no answer: 0 where it is certain, 1 bit at one half."""
    p = np.clip(np.asarray(probability, dtype=np.float64), 0, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = [np.where(q > 0, -q * np.log2(q), 0.0) for q in (p, 1 - p)]
    return np.asarray(terms[0] + terms[1])

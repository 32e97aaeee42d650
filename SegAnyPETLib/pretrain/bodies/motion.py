"""Breathing, as the average over its phases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatMatrix = NDArray[np.float64]
PHASES = 6
AMPLITUDE_MM = (2.0, 18.0)
DECAY_MM = 60.0


@dataclass(frozen=True)
class Breathing:
    """Displacement to the feet and back that depends on z alone.

    The labels show the mean position: the displacements of the phases, weighted by the time spent there, add up to
    zero. Each phase moves a slice at z by its share of A exp(-((z - dome) / 60 mm)²); more time is spent at the end of
    the expiration, with weights ∝ 1 + cos⁴.

    Attributes:
        amplitude_mm: A, from end to end.
        dome_mm: z of the diaphragm's dome.
    """

    amplitude_mm: float
    dome_mm: float

    def matrix(self, z_mm: FloatMatrix, *, step_mm: float) -> FloatMatrix:
        """Average over the phases as a matrix (n, n) on slices at `z_mm`, `step_mm` apart; every column adds up to 1.

        Activity is moved, not resampled, so none is lost; what would leave the slices is kept at their end.
        """
        phase = np.arange(PHASES) / PHASES * np.pi
        weights = 1 + np.cos(phase) ** 4
        weights /= weights.sum()
        position = np.cos(phase) ** 2
        position -= weights @ position
        reach = self.amplitude_mm * np.exp(-(((z_mm - self.dome_mm) / DECAY_MM) ** 2))
        n = len(z_mm)
        matrix = np.zeros((n, n))
        for weight, share in zip(weights, position, strict=True):
            place = np.clip(np.arange(n) + share * reach / step_mm, 0, n - 1)
            low = np.minimum(place.astype(int), n - 2) if n > 1 else np.zeros(n, dtype=int)
            part = place - low
            np.add.at(matrix, (low, np.arange(n)), weight * (1 - part))
            np.add.at(matrix, (np.minimum(low + 1, n - 1), np.arange(n)), weight * part)
        return matrix


def draw_breathing(rng: np.random.Generator, *, dome_mm: float) -> Breathing:
    """An amplitude of 2 to 18 mm at the dome of the diaphragm."""
    return Breathing(float(rng.uniform(*AMPLITUDE_MM)), dome_mm)

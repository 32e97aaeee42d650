"""What `predict` returns."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.geometry import Grid, VoxelBox
from SegAnyPETLib.model.calibration import Calibration
from SegAnyPETLib.session.click_hint import ClickHint, next_click_hint
from SegAnyPETLib.session.confidence import ObjectLogits, Temperatures, entropy_bits, volume_bounds_ml
from SegAnyPETLib.session.packed_mask import PackedMask


@dataclass(frozen=True, eq=False)
class Prediction:
    """A mask on the image's own grid, and how sure the model is of it.

    What is derived from the logits is made when first asked for, so that a click does not wait for it.

    Attributes:
        packed: The mask, one bit per voxel of its box.
        changed: Holds every voxel that differs from the prediction returned before, or from any mask that undo,
            redo or reset showed since; empty when nothing changed.
        soft_dice: How sharply the network separates the mask, uncalibrated, 0 to 1 (see `postprocess.soft_dice`).
        notices: What the user should know; each was also given as a `SegAnyPETWarning`, once.
        grid: Of the image.
        prompts: Number of prompts that led here.
        calibration: What was fitted for the model; None where nothing was.
    """

    packed: PackedMask
    changed: VoxelBox
    soft_dice: float
    notices: tuple[str, ...]
    grid: Grid
    prompts: int
    calibration: Calibration | None
    make_logits: Callable[[], ObjectLogits] = field(repr=False)

    @property
    def is_calibrated(self) -> bool:
        """True when probability and score were fitted to measured cases; without, they are the network's own."""
        return self.calibration is not None

    @property
    def score(self) -> float:
        """Confidence, 0 to 1, 0 for an empty mask: the expected Dice when calibrated, else `soft_dice`."""
        if self.calibration is None:
            return self.soft_dice
        return self.calibration.score.expected_dice(self.soft_dice, prompts=self.prompts, volume_ml=self.volume_ml)

    @property
    def volume_ml(self) -> float:
        """Number of voxels in the mask times the volume of a voxel."""
        return self.packed.voxel_count * self._voxel_ml

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """(K, J, I), read-only, made when first asked for."""
        mask = self.packed.to_array()
        mask.setflags(write=False)
        return mask

    @cached_property
    def logits(self) -> ObjectLogits:
        """The network's own logits of the clicked object, before calibration, in the decoded part of the image."""
        return self.make_logits()

    @cached_property
    def probability(self) -> NDArray[np.float32]:
        """(K, J, I) float32, read-only: at least one half exactly in the mask, calibrated if `is_calibrated`.

        0 where nothing was decoded, in and around parts that were dropped because nobody clicked them, and where
        every logit of the region is below `canvas.FAINT_LOGIT`.
        """
        return self._on_image(self._probability_in_box)

    @cached_property
    def uncertainty(self) -> NDArray[np.float32]:
        """(K, J, I) float32, read-only: binary entropy of `probability` in bits, 0 certain, 1 at one half."""
        return self._on_image(entropy_bits(self._probability_in_box))

    @property
    def uncertainty_in_box(self) -> tuple[VoxelBox, NDArray[np.float32]]:
        """The box of the image outside of which `uncertainty` is 0, and its values there, (k, j, i) float32."""
        return self.logits.box, entropy_bits(self._probability_in_box)

    @cached_property
    def volume_interval_ml(self) -> tuple[float, float] | None:
        """An interval in ml that holds the true volume in `calibration.coverage` of cases like those it was fitted on.

        None without calibration, or for an empty mask. It starts from the volumes of high and of low probability and
        is widened as split-conformal prediction says (see `calibration.interval`); it always holds `volume_ml`.
        """
        if self.calibration is None or self.packed.box.is_empty:
            return None
        bounds = volume_bounds_ml(
            self.logits.near(self.packed, self.grid),
            self._temperatures,
            level=self.calibration.interval_level,
            voxel_ml=self._voxel_ml,
        )
        factor = math.exp(self.calibration.after(self.prompts).volume_margin)
        return min(bounds[0] / factor, self.volume_ml), max(bounds[1] * factor, self.volume_ml)

    @cached_property
    def next_click_hint(self) -> ClickHint | None:
        """Where to look and perhaps click next; None when nothing is doubtful."""
        return next_click_hint(self._probability_in_box, self.logits.box, self.grid)

    @property
    def _voxel_ml(self) -> float:
        return float(np.prod(self.grid.spacing_kji_mm)) / 1000.0

    @property
    def _temperatures(self) -> Temperatures:
        if self.calibration is None:
            return Temperatures()
        entry = self.calibration.after(self.prompts)
        return Temperatures(entry.temperature_inside, entry.temperature_outside)

    @cached_property
    def _probability_in_box(self) -> NDArray[np.float32]:
        return self.logits.probability(self._temperatures)

    def _on_image(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        whole = np.zeros(self.grid.shape_kji, dtype=np.float32)
        whole[self.logits.box.slices] = values
        whole.setflags(write=False)
        return whole

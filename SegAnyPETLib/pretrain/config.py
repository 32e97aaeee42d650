"""Everything a training run depends on, in one frozen record that is saved with its weights."""

from __future__ import annotations

from dataclasses import dataclass

from SegAnyPETLib.errors import ModelError

SMALLEST_CROP = 48
CROP_MULTIPLE = 16  # the network halves the crop four times


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of one run; two runs with equal settings on one machine give equal weights.

    Attributes:
        steps: Optimizer steps.
        seed: Decides weights, scenes, crops and clicks.
        learning_rate: Highest rate of AdamW, reached after `warm_up_steps`, then cosine to a hundredth.
        warm_up_steps: Steps of linear warm-up.
        weight_decay: Of AdamW, on all parameters.
        real_share: Share of steps on real cases, 0 to 1; the others are synthetic.
        body_share: Share of the synthetic crops that are cut from whole bodies; the others are shapes.
        bodies: How many bodies there are to cut from; `seed` decides which.
        batch: Crops per step at `crop_voxels`; crops of `large_crop_voxels` come in half as many.
        crop_voxels: Side of most crops.
        large_crop_voxels: Side of the crops of half of the real steps.
        max_clicks: Each step simulates one to this many clicks, equally likely, and learns from the last.
        first_click_weight: Of the loss after the first click, in steps that simulate more than one.
        ema_decay: Of the averaged weights, which are the ones kept.
        validate_every: Steps between validations on fixed synthetic scenes, and between checkpoints.
        exclude_fold: (k, n): real cases whose number is k modulo n are never seen.

    Raises:
        ModelError: A crop is not a multiple of 16, or smaller than 48 voxels: torch 2.13 leaves gradients of 3D
            convolutions over 2 voxels a side uninitialized on the CPU (seen with bfloat16), and 32 voxels become 2.
    """

    steps: int = 3000
    seed: int = 1
    learning_rate: float = 2e-3
    warm_up_steps: int = 100
    weight_decay: float = 1e-2
    real_share: float = 0.0
    body_share: float = 0.6
    bodies: int = 40
    batch: int = 4
    crop_voxels: int = 48
    large_crop_voxels: int = 64
    max_clicks: int = 5
    first_click_weight: float = 0.5
    ema_decay: float = 0.995
    validate_every: int = 250
    exclude_fold: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        for side in (self.crop_voxels, self.large_crop_voxels):
            if side < SMALLEST_CROP or side % CROP_MULTIPLE:
                msg = f"Expected crops of a multiple of {CROP_MULTIPLE}, at least {SMALLEST_CROP} voxels; found {side}."
                raise ModelError(msg)

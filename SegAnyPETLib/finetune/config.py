"""Everything a fine-tuning run depends on, in frozen records that are saved with what it made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from SegAnyPETLib.errors import ModelError

Method = Literal["hq", "plain", "cpcl"]
METHODS: tuple[Method, ...] = get_args(Method)


@dataclass(frozen=True)
class CPCLConfig:
    """How careless labels are repaired and believed.

    Attributes:
        prompt_sets: Independent prompt sets per image (UR-SAM draws several boxes: Zhang et al. 2023).
        sure_below_bits: Entropy of the mean probability below which the ensemble is sure: one half, so a probability
            below .11 or above .89.
        near_mm: The ensemble is asked only this far around label and answer; elsewhere the label stays.
        smallest_voxels: A repaired label with fewer voxels is not taken.
        offset_limit_mm: Most that one voxel counts for the offset.
        offset_dead_zone_mm: Offsets below this are taken for chance.
        offset_scale_mm: Beyond the dead zone, where belief reaches 63 %.
        disagreement_dead_zone: Share of a label's size that may be contradicted before the case is repaired.
        disagreement_scale: Beyond it, where belief reaches 63 %.
        cases_remembered: How many of the newest looks the offset is the mean of.
        fewest_cases: Looks of either kind before there is an offset at all.
        standard_errors: By how many of them the offset is drawn towards 0.
        least_overlap: Dice of label and ensemble below which a case is left out and listed.
        largest_volume_ratio: Of repaired and given label; beyond it the case counts a quarter.
        consistency: Weight of the squared difference between the student's answer and the ensemble.
        warm_up_share: Share of the steps that learn from careful labels alone.
        ramp_share: Share of the steps in which the careless ones come in after that.
        teacher_decay: Of the averaged weights that repair labels (mean teacher: Tarvainen and Valpola 2017).

    Source:
        Cross prompting and self-rectification: Zhang et al., SegAnyPET, ICCV 2025, arXiv:2502.14351. Careful and
        careless labels with a mean teacher: Xu et al. 2022, MTCL, arXiv:2106.01860. The ramp: Laine and Aila 2017,
        arXiv:1610.02242. Offset, belief and their constants are our own, see `docs` of the study.
    """

    prompt_sets: int = 4
    sure_below_bits: float = 0.5
    near_mm: float = 20.0
    smallest_voxels: int = 4
    offset_limit_mm: float = 12.0
    offset_dead_zone_mm: float = 0.5
    offset_scale_mm: float = 1.0
    disagreement_dead_zone: float = 0.1
    disagreement_scale: float = 0.15
    cases_remembered: int = 40
    fewest_cases: int = 4
    standard_errors: float = 1.0
    least_overlap: float = 0.3
    largest_volume_ratio: float = 3.0
    consistency: float = 0.1
    warm_up_share: float = 0.25
    ramp_share: float = 0.3
    teacher_decay: float = 0.98


@dataclass(frozen=True)
class FineTuneConfig:
    """One run.

    Attributes:
        method: ``hq`` learns from careful labels alone, ``plain`` from all as they are, ``cpcl`` repairs careless ones.
        steps: Optimizer steps.
        seed: Decides crops, clicks and prompt sets.
        learning_rate: Highest rate of AdamW, reached after `warm_up_steps`, then cosine to a tenth.
        warm_up_steps: Steps of linear warm-up of the rate.
        weight_decay: Of AdamW.
        batch: Crops per step; half of them careless ones, where the method uses those.
        max_clicks: Clicks per crop, one to so many, equally likely.
        gradient_clip: Largest norm of the gradient.
        average_decay: Of the averaged weights, which are the ones that are kept.
        cpcl: How careless labels are repaired.

    Raises:
        ModelError: The method is unknown, or a count is not positive.
    """

    method: Method = "cpcl"
    steps: int = 300
    seed: int = 1
    learning_rate: float = 3e-4
    warm_up_steps: int = 10
    weight_decay: float = 1e-2
    batch: int = 4
    max_clicks: int = 3
    gradient_clip: float = 1.0
    average_decay: float = 0.98
    cpcl: CPCLConfig = field(default_factory=CPCLConfig)

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            msg = f"Expected a method among {', '.join(METHODS)}; found {self.method!r}."
            raise ModelError(msg)
        if min(self.steps, self.batch, self.max_clicks) < 1 or (self.method != "hq" and self.batch < 2):
            msg = f"Expected at least one step, click and crop of either kind; found {self}."
            raise ModelError(msg)

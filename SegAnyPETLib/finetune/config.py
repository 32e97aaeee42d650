"""Everything a fine-tuning run depends on, in frozen records that are saved with what it made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from SegAnyPETLib.errors import ModelError

Method = Literal["hq", "plain", "cpcl"]
METHODS: tuple[Method, ...] = get_args(Method)
Parts = Literal["decoder", "lora", "full"]
PARTS: tuple[Parts, ...] = get_args(Parts)
Precision = Literal["float32", "bfloat16", "float16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
LARGEST_RANK = 256
FEWEST_CASES = 3  # of careful labels, and of careless ones; with fewer no offset between them can be trusted


@dataclass(frozen=True)
class CPCLConfig:
    """How careless labels are repaired and believed.

    Attributes:
        prompt_sets: Independent prompt sets per image (UR-SAM draws several boxes: Zhang et al. 2023).
        sure_below_bits: Entropy of the mean probability below which the ensemble is sure: one half, so a probability
            below .11 or above .89.
        near_mm: The ensemble is asked only this far around label and answer, and thresholds are drawn down so far;
            elsewhere the label stays.
        smallest_voxels: A repaired label with fewer voxels is not taken.
        edge_reach_mm: How far from a label's border the edge of uptake is looked for.
        offset_cut_share: Share of the border's places that do not count for the offset, at either end: one quarter
            leaves the interquartile mean, for which a neighbour's edge or a missing part is no offset.
        offset_dead_zone_mm: Offsets below this are taken for chance.
        offset_scale_mm: Beyond the dead zone, where belief reaches 63 %.
        disagreement_dead_zone: Share of a label's size that may be contradicted before the case is repaired.
        disagreement_scale: Beyond it, where belief reaches 63 %.
        looks_remembered: How many of the newest looks at labels of either kind count.
        fewest_cases: Cases of either kind among them before there is an offset at all.
        standard_errors: By how many of them the offset is drawn towards 0.
        careful_scatter: How often the scatter (standard deviation) of the careful cases' offsets is taken for what
            careless ones scatter without mistakes; more than once, since a few cases may be alike by chance.
        threshold_overlap: Dice of label and best threshold from which on a label is taken for a threshold's; the median
            of the careless cases counts. Less than 1, since crops are on another grid than the labels were drawn on.
        level_dead_zone: How much higher the level of careless thresholds must be than that of careful labels, beyond
            the error of the difference, to be too high; a share of the hottest voxel.
        level_standard_errors: By how many errors of that difference.
        least_overlap: Dice of label and ensemble below which a case is left out and listed.
        largest_volume_ratio: Of repaired and given label; beyond it the case counts a quarter.
        consistency: Weight of the squared difference between the student's answer and the ensemble.
        warm_up_share: Share of the steps in which careless labels are learned as they are. Both kinds must have been
            learned alike before they are compared, or what a network does to new cases looks like an offset.
        ramp_share: Share of the steps in which repairs come to be believed after that.
        teacher_decay: Of the averaged weights that repair labels (mean teacher: Tarvainen and Valpola 2017).

    Source:
        Cross prompting and self-rectification: Zhang et al., SegAnyPET, ICCV 2025, arXiv:2502.14351. Careful and
        careless labels with a mean teacher: Xu et al. 2022, MTCL, arXiv:2106.01860. The ramp: Laine and Aila 2017,
        arXiv:1610.02242. Offset, belief and their constants are our own, see Testing/cpcl_study/README.md.
    """

    prompt_sets: int = 4
    sure_below_bits: float = 0.5
    near_mm: float = 20.0
    smallest_voxels: int = 4
    edge_reach_mm: float = 15.0
    offset_cut_share: float = 0.25
    offset_dead_zone_mm: float = 0.5
    offset_scale_mm: float = 1.0
    disagreement_dead_zone: float = 0.15
    disagreement_scale: float = 0.15
    looks_remembered: int = 40
    fewest_cases: int = FEWEST_CASES
    standard_errors: float = 0.5
    careful_scatter: float = 2.0
    threshold_overlap: float = 0.8
    level_dead_zone: float = 0.1
    level_standard_errors: float = 1.0
    least_overlap: float = 0.3
    largest_volume_ratio: float = 3.0
    consistency: float = 0.1
    warm_up_share: float = 0.2
    ramp_share: float = 0.1
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
        batch: Crops per step.
        careless_share: Share of them that are careless ones, where the method uses those; one at least of either kind.
        max_clicks: Clicks per crop, one to so many, equally likely.
        gradient_clip: Largest norm of the gradient.
        average_decay: Of the averaged weights, which are the ones that are kept.
        cpcl: How careless labels are repaired.
        parts: What is trained, see `trained_parts.prepare_network`.
        lora_rank: Rank of the low-rank changes, where `parts` is ``lora`` (small ones do: Hu et al. 2021, 7.2).
        lora_alpha: They are multiplied by this over their rank (twice the rank is the habit).
        encoder_rate: Rate of the encoder, or of its low-rank changes, as a multiple of `learning_rate`.
        decoder_rate: The same for everything else that is trained.
        accumulation: Pieces a step's crops are cut into to save memory; their gradients are added, so that the step is
            the same but for rounding.
        precision: Of the network's calculations on an NVIDIA GPU; weights stay float32, and so does all on a CPU.
        validate_every: Steps between validations, where `train` is given one; 0 for never.
        patience: Validations without a better one after which training ends; 0 for never.
        pull_to_base: Weight of half the squared distance from the weights before training, added to the loss (L2-SP:
            Li et al. 2018, arXiv:1802.01483). 0 for none.
        replay_share: Share of the careful crops that are of other sources, against forgetting. `train` takes what it is
            given; whoever makes the source of crops reads this.

    Raises:
        ModelError: A choice is unknown, or a number is out of its range.

    Source:
        Low-rank changes: Hu et al. 2021, LoRA, arXiv:2106.09685.
    """

    method: Method = "cpcl"
    steps: int = 300
    seed: int = 1
    learning_rate: float = 3e-4
    warm_up_steps: int = 10
    weight_decay: float = 1e-2
    batch: int = 4
    careless_share: float = 0.5
    max_clicks: int = 3
    gradient_clip: float = 1.0
    average_decay: float = 0.98
    cpcl: CPCLConfig = field(default_factory=CPCLConfig)
    parts: Parts = "full"
    lora_rank: int = 8
    lora_alpha: float = 16.0
    encoder_rate: float = 1.0
    decoder_rate: float = 1.0
    accumulation: int = 1
    precision: Precision = "float32"
    validate_every: int = 0
    patience: int = 0
    pull_to_base: float = 0.0
    replay_share: float = 0.0

    def __post_init__(self) -> None:
        for name, choices in {"method": METHODS, "parts": PARTS, "precision": PRECISIONS}.items():
            if getattr(self, name) not in choices:
                msg = f"Expected a {name} among {', '.join(choices)}; found {getattr(self, name)!r}."
                raise ModelError(msg)
        if min(self.steps, self.batch, self.max_clicks) < 1 or (self.method != "hq" and self.batch < 2):
            msg = f"Expected at least one step, click and crop of either kind; found {self}."
            raise ModelError(msg)
        if min(self.accumulation, self.lora_rank) < 1 or self.lora_rank > LARGEST_RANK or not self.lora_alpha > 0:
            msg = f"Expected at least one piece, a rank of 1 to {LARGEST_RANK} and a positive alpha; found {self}."
            raise ModelError(msg)
        least = min(self.encoder_rate, self.decoder_rate, self.validate_every, self.patience, self.pull_to_base)
        if least < 0 or not (0 <= self.replay_share <= 1 and 0 < self.careless_share < 1):
            msg = f"Expected no negative rate, interval or weight, and a share of 0 to 1; found {self}."
            raise ModelError(msg)

    def to_json(self) -> str:
        """All of it as one line of JSON, always the same for equal settings."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> FineTuneConfig:
        """Read what `to_json` wrote.

        Raises:
            ModelError: It is no such text, or a field is unknown, of another type or out of its range.
        """
        try:
            entry = json.loads(text)
            repair = CPCLConfig(**_checked(CPCLConfig(), entry.pop("cpcl", {})))
            return cls(cpcl=repair, **_checked(cls(), entry))
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            msg = f"Expected the settings of a fine-tuning run, found: {error}. Write them again with this version."
            raise ModelError(msg) from error


def _checked(defaults: CPCLConfig | FineTuneConfig, entry: Mapping[str, Any]) -> dict[str, Any]:
    """The entries, each a field with the type of its default; a whole number may stand for a real one."""
    known = {one.name: type(getattr(defaults, one.name)) for one in fields(defaults)}
    for name, value in entry.items():
        if name not in known:
            msg = f"the unknown setting {name!r}"
            raise ValueError(msg)
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if type(value) is not known[name] and not (known[name] is float and is_whole):
            msg = f"{name} of type {type(value).__name__}, not {known[name].__name__}"
            raise ValueError(msg)
    return dict(entry)

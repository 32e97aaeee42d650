"""Settings for people who want to choose no settings: by model, size of the cohort and device.

The table follows published recipes, as far as there are any; steps and bands are our own choice:
SAM-Med3D fine-tunes with 8e-5 and the encoder ten times faster than the decoder when it begins from nothing
(Wang et al. 2023, arXiv:2310.15161); MedSAM2 with 5e-5 and 3e-5 for the encoder (Ma et al. 2025, arXiv:2504.03600);
MedicoSAM with 1e-5 (Archit et al. 2025, arXiv:2501.11734). Few cases forget more than they teach when all weights
learn, hence decoder first, then low-rank changes in encoder and decoder (Gu et al. 2025, MELBA, arXiv:2404.09957).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, get_args

import torch
from torch import nn

from SegAnyPETLib.errors import ModelError
from SegAnyPETLib.finetune.comparing import CLICKS
from SegAnyPETLib.finetune.config import FEWEST_CASES, FineTuneConfig, Method, Parts, Precision
from SegAnyPETLib.finetune.crops import CropSource
from SegAnyPETLib.finetune.loop import TrainingState, start, train
from SegAnyPETLib.finetune.trainable_vit import trainable_copy
from SegAnyPETLib.finetune.trained_parts import prepare_network
from SegAnyPETLib.model.promptable_vit import PromptableViT

PresetName = Literal["quick", "balanced", "thorough"]
PRESETS: tuple[PresetName, ...] = get_args(PresetName)
REPLAY_SHARE = 0.5
LEAST_CARELESS_SHARE, MOST_CARELESS_SHARE = 0.1, 0.5  # of the crops, where there are careless ones
PATIENCE = 5  # validations
VALIDATIONS = 10  # per run
WARM_UP_SHARE = 0.05
MEASURED_STEPS = 2
ENOUGH_S = 15.0  # a step that takes so long tells enough alone
FEWEST_CROPS = 2  # one of either kind; on a CPU the large network's crops take so long that each counts for itself


@dataclass(frozen=True)
class Recipe:
    """One row of the table: what learns, and how fast, for cohorts up to a size.

    Attributes:
        largest_cohort: Labelled cases up to which this holds; None for all beyond the others.
        parts: What learns.
        learning_rate: Highest rate.
        encoder_rate: Of encoder or low-rank changes, as a multiple.
        decoder_rate: Of the rest, as a multiple.
        lora_rank: Of the low-rank changes, with twice that as alpha.
        pull_to_base: Weight of the squared distance from the base.
    """

    largest_cohort: int | None
    parts: Parts
    learning_rate: float
    encoder_rate: float = 1.0
    decoder_rate: float = 1.0
    lora_rank: int = 8
    pull_to_base: float = 0.0


RECIPES: dict[str, tuple[Recipe, ...]] = {
    "lite": (
        Recipe(4, "decoder", 3e-4),
        Recipe(20, "full", 3e-4),
        Recipe(None, "full", 1e-3, pull_to_base=1e-4),
    ),
    "vit_b_ori": (
        Recipe(4, "decoder", 1e-4),
        Recipe(20, "lora", 1e-4, decoder_rate=0.5),
        Recipe(100, "lora", 1e-4, decoder_rate=0.5, lora_rank=16),
        Recipe(None, "full", 8e-5, encoder_rate=0.375, pull_to_base=1e-4),
    ),
}
STEPS: dict[str, dict[PresetName, int]] = {
    "lite": {"quick": 120, "balanced": 400, "thorough": 1500},
    "vit_b_ori": {"quick": 100, "balanced": 300, "thorough": 1000},
}
BATCH: dict[PresetName, int] = {"quick": 4, "balanced": 8, "thorough": 8}  # crops a step learns from
# On a core of an AMD EPYC a crop of SegAnyPET's takes 3.5 s with the decoder learning, 5.0 s with low-rank changes too.
AT_ONCE_ON_CPU = {"lite": 4, "vit_b_ori": 1}  # of them in memory; on a GPU all, until memory says otherwise
GRADIENT_CLIP = {"lite": 1.0, "vit_b_ori": 0.1}  # MedSAM2 clips transformers at 0.1


class Preset(NamedTuple):
    """What was chosen, and why.

    Attributes:
        config: Of the run.
        parts: What learns; the same as `config.parts`.
        why: In words, to be shown.
    """

    config: FineTuneConfig
    parts: Parts
    why: str


def choose_preset(
    name: PresetName, *, architecture: str, careful_cases: int, careless_cases: int, device: torch.device
) -> Preset:
    """Settings for a cohort on a machine.

    Args:
        name: How much time to take: ``quick``, ``balanced``, ``thorough``.
        architecture: `lite` or `vit_b_ori`.
        careful_cases: Carefully labelled cases to learn from, those for validation not among them.
        careless_cases: The same with careless labels.
        device: To train on.

    Raises:
        ModelError: The preset or the architecture is unknown, or there is no case.
    """
    cases = careful_cases + careless_cases
    if name not in PRESETS or architecture not in RECIPES:
        msg = f"Expected a preset of {', '.join(PRESETS)} for {' or '.join(RECIPES)}; found {name} for {architecture}."
        raise ModelError(msg)
    if min(careful_cases, careless_cases) < 0 or cases == 0:
        msg = f"Expected at least one labelled case to learn from; found {cases}. Add cases, or use the model as it is."
        raise ModelError(msg)
    method, why_method = _choose_method(careful_cases, careless_cases)
    recipe, why_parts = _choose_recipe(architecture, cases, device)
    precision, why_precision = _choose_precision(device)
    steps, batch = STEPS[architecture][name], BATCH[name]
    config = FineTuneConfig(
        method=method,
        steps=steps,
        learning_rate=recipe.learning_rate,
        warm_up_steps=max(1, round(WARM_UP_SHARE * steps)),
        batch=batch,
        careless_share=_careless_share(careful_cases, careless_cases),
        max_clicks=max(CLICKS),  # what the card judges is learned
        gradient_clip=GRADIENT_CLIP[architecture],
        parts=recipe.parts,
        lora_rank=recipe.lora_rank,
        lora_alpha=2.0 * recipe.lora_rank,
        encoder_rate=recipe.encoder_rate,
        decoder_rate=recipe.decoder_rate,
        accumulation=1 if device.type == "cuda" else -(-batch // AT_ONCE_ON_CPU[architecture]),
        precision=precision,
        validate_every=steps // VALIDATIONS,
        patience=PATIENCE,
        pull_to_base=recipe.pull_to_base,
        replay_share=REPLAY_SHARE,
    )
    return Preset(config, config.parts, " ".join([why_method, why_parts, why_precision]).strip())


def _careless_share(careful_cases: int, careless_cases: int) -> float:
    """Of a step's crops, so that no case is drawn more often than others; at most half, or too few were replayed."""
    drawn_for_careful = careful_cases / (1 - REPLAY_SHARE)
    share = careless_cases / (drawn_for_careful + careless_cases)
    return min(max(share, LEAST_CARELESS_SHARE), MOST_CARELESS_SHARE)


def estimate_seconds(network: nn.Module, source: CropSource, config: FineTuneConfig, *, device: torch.device) -> float:
    """How long the steps of a run take here, measured on a few of them; validations come on top.

    Repairs begin late and cost more, so steps from before and after that are measured; of the large network on a CPU
    steps with fewer crops, which follow each other there. The network is copied and stays as it is.

    Args:
        network: As it was loaded, not prepared yet.
        source: Of the cohort's crops; some are drawn.
        config: Of the run.
        device: To train on.
    """
    times = 1.0
    if isinstance(network, PromptableViT) and device.type == "cpu" and config.batch > FEWEST_CROPS:
        times = config.batch / FEWEST_CROPS
        config = replace(config, batch=FEWEST_CROPS, accumulation=FEWEST_CROPS)
    trial = trainable_copy(network).to(device)
    groups = prepare_network(trial, config.parts, lora_rank=config.lora_rank, lora_alpha=config.lora_alpha)
    state = start(trial, replace(config, validate_every=0), groups=groups)
    early = times * _seconds_per_step(state, source, config, device, first=0)
    if config.method != "cpcl":
        return early * config.steps
    before = min(config.steps, round(config.cpcl.warm_up_share * config.steps))
    late = times * _seconds_per_step(state, source, config, device, first=before)
    return early * before + late * (config.steps - before)


def is_slow_without_gpu(architecture: str, device: torch.device) -> bool:
    """Whether training takes hours or days there, so that whoever begins it should be told before."""
    return architecture == "vit_b_ori" and device.type == "cpu"


def _seconds_per_step(
    state: TrainingState, source: CropSource, config: FineTuneConfig, device: torch.device, *, first: int
) -> float:
    """The mean of some steps, one before them not counted: it fills caches and chooses algorithms."""
    last = config.steps
    state.step = max(0, min(first, last - 1 - MEASURED_STEPS))
    times = [time.perf_counter()]

    def note(now: TrainingState) -> bool:
        times.append(time.perf_counter())  # the loss was read by now, so a GPU has done its work
        return len(times) > 1 + MEASURED_STEPS or times[-1] - times[-2] > ENOUGH_S

    train(state, source, config, device=device, after_step=note)
    steps = times if len(times) == 2 else times[1:]
    return (steps[-1] - steps[0]) / (len(steps) - 1)


def _choose_method(careful: int, careless: int) -> tuple[Method, str]:
    if careless == 0:
        return "hq", f"All {careful} cases are labelled carefully, so their labels are learned as they are."
    if careful >= FEWEST_CASES:
        return "cpcl", (
            f"The {careful} careful cases show by how much the labels of the {careless} careless ones are off; "
            "these are repaired while training."
        )
    return "plain", (
        f"With {careful} careful cases (at least {FEWEST_CASES} are needed) nobody can tell whether the careless "
        "labels are all too large or too small, so all labels are learned as they are. Mark some trusted cases as "
        "careful."
    )


def _choose_recipe(architecture: str, cases: int, device: torch.device) -> tuple[Recipe, str]:
    recipes = RECIPES[architecture]
    recipe = next(one for one in recipes if one.largest_cohort is None or cases <= one.largest_cohort)
    if recipe.parts == "full" and is_slow_without_gpu(architecture, device):
        recipe = next(one for one in reversed(recipes) if one.parts == "lora")
    words = {
        "decoder": "only the decoder learns: more weights would learn these very cases by heart",
        "lora": f"the decoder learns, and the encoder by changes of rank {recipe.lora_rank}, so that it forgets little",
        "full": "all weights learn",
    }
    slow = " Without a GPU this network learns slowly." if is_slow_without_gpu(architecture, device) else ""
    return recipe, f"With {cases} cases {words[recipe.parts]}.{slow}"


def _choose_precision(device: torch.device) -> tuple[Precision, str]:
    if device.type != "cuda":
        return "float32", ""
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return "bfloat16", "This GPU calculates in bfloat16, which is faster."
    return "float16", "This GPU calculates in float16, which is faster; the loss is scaled to keep small gradients."

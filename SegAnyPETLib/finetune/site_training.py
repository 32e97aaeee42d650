"""A run's training and what follows: validation, wishes, checkpoints, the comparison, the card, the store."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from SegAnyPETLib.benchmark.machine import describe_machine
from SegAnyPETLib.errors import ModelError
from SegAnyPETLib.finetune.card import CohortFacts, TrainingCard, write_card
from SegAnyPETLib.finetune.checkpointing import load_checkpoint, save_checkpoint, versions
from SegAnyPETLib.finetune.comparing import JudgedCase, compare_models, dice_by_click, mean_over_patients
from SegAnyPETLib.finetune.config import FineTuneConfig
from SegAnyPETLib.finetune.deciding import Decision, decide
from SegAnyPETLib.finetune.forgetting import BUNDLED_COUNT, compare_bundled
from SegAnyPETLib.finetune.judging_time import (
    MOST_VALIDATED,
    SECONDS_PER_JUDGED,
    count_judged,
    judging_seconds_per_lesion,
)
from SegAnyPETLib.finetune.loop import TrainingState, repair_share, start, train
from SegAnyPETLib.finetune.lora import merge_lora
from SegAnyPETLib.finetune.presets import estimate_seconds, is_slow_without_gpu
from SegAnyPETLib.finetune.reviewing import LabelReview, review_labels
from SegAnyPETLib.finetune.run_progress import WISHES, ProgressLine, Wish, wait_while_paused
from SegAnyPETLib.finetune.site_run import OpenRun, RunPlan, judged_model, now_utc
from SegAnyPETLib.finetune.trainable_vit import trainable_copy
from SegAnyPETLib.finetune.trained_parts import prepare_network
from SegAnyPETLib.model.load import Model
from SegAnyPETLib.model.site_file import base_facts, import_model, write_site_file
from SegAnyPETLib.model.site_models import SiteAbout, set_default_model

CHECKPOINT_EVERY_S = 60.0
MODEL_NAME = "model.safetensors"


@dataclass(frozen=True)
class FinishedRun:
    """What came of a run.

    Attributes:
        card: All of it.
        name: Of the model in the store.
        weights: Its file in the run's folder, which can be imported elsewhere.
    """

    card: TrainingCard
    name: str
    weights: Path


@dataclass
class _Watch:
    """What is noted between the steps."""

    run: OpenRun
    judge: Model
    judged: tuple[JudgedCase, ...]
    seconds_before: float
    step: int = 0
    begun_at: float = field(default_factory=time.monotonic)
    first_step: int = 0
    saved_at: float = -math.inf
    seconds_judging: float = 0.0
    seconds_per_judged: float = SECONDS_PER_JUDGED
    is_stopped: bool = False

    @property
    def seconds(self) -> float:
        """Of training, in all sittings."""
        return self.seconds_before + time.monotonic() - self.begun_at

    def validate(self, weights: dict[str, Tensor]) -> float:
        """Mean Dice over clicks and patients on some validation cases."""
        begun = time.monotonic()
        self.judge.network.load_state_dict(weights)
        dice = mean_over_patients(self.judged, dice_by_click(self.judge, self.judged))
        took = time.monotonic() - begun
        self.seconds_judging += took
        self.seconds_per_judged = took / len(self.judged)
        return dice

    def seconds_left(self) -> float:
        """Of training, validations and the comparison at the end."""
        done = max(1, self.step - self.first_step)
        return self.seconds_at((time.monotonic() - self.begun_at - self.seconds_judging) / done)

    def seconds_at(self, per_step: float) -> float:
        """The same, where a step takes so many seconds."""
        run, config = self.run, self.run.plan.config
        left = config.steps - self.step
        validations = left / config.validate_every if config.validate_every and self.judged else 0
        return left * per_step + count_judged(len(run.validation), validations) * self.seconds_per_judged


def train_run(run: OpenRun) -> FinishedRun | None:
    """Train, compare, decide, and put the model into the store; None in processes that are not the first.

    Raises:
        ModelError: Training diverged, or another process has ended.
        DeviceError: Memory does not suffice for a single crop.
        WeightsError: The checkpoint is damaged or of another run.
        OutputError: A result cannot be written.
    """
    weights, state, watch, plan = _train(run)
    run.processes.leave()
    if not run.processes.writes:
        return None
    if not all(bool(torch.isfinite(value).all()) for value in weights.values()):
        msg = "Training diverged: weights are not finite. Begin anew with another --seed, or look for odd cases."
        raise ModelError(msg)
    watch.judge.network.load_state_dict(weights)
    watch.judge.network.eval()
    return _finish(replace(run, plan=plan), weights, state, watch)


def _train(run: OpenRun) -> tuple[dict[str, Tensor], TrainingState, _Watch, RunPlan]:
    plan, config, device = run.plan, run.plan.config, run.device
    network = trainable_copy(run.base.network).to(device)
    groups = prepare_network(
        network,
        config.parts,
        lora_rank=config.lora_rank,
        lora_alpha=config.lora_alpha,
        encoder_rate=config.encoder_rate,
        decoder_rate=config.decoder_rate,
        seed=config.seed,
    )
    state = start(network, config, groups=groups)
    identity = {"base_sha256": plan.base_sha256, "manifest_fingerprint": plan.fingerprint}
    is_resumed = load_checkpoint(run.folder, state, config, **identity, processes=run.processes)
    judge = judged_model(run.base, device=device)
    watch = _Watch(run, judge, spread(run.validation, MOST_VALIDATED), plan.seconds)
    watch.step = watch.first_step = state.step
    if run.processes.writes and is_slow_without_gpu(run.base.spec.architecture, device) and not plan.is_trained:
        _say_how_long(watch, is_resumed=is_resumed)
    words = f"going on after step {state.step}" if is_resumed else "training begins"
    run.progress.write(ProgressLine("training", state.step, config.steps, message=words))

    def save() -> None:
        save_checkpoint(run.folder, state, config, **identity, processes=run.processes)
        if run.processes.writes:
            replace(plan, seconds=watch.seconds).write(run.folder)
        watch.saved_at = time.monotonic()

    def after_step(now: TrainingState) -> bool:
        return _after_step(now, watch, save)

    if not plan.is_trained:
        weights = train(
            state,
            run.source,
            config,
            device=device,
            after_step=after_step,
            validate=watch.validate if watch.judged else None,
            processes=run.processes,
        )
        ended = why_ended(state, config, is_stopped=watch.is_stopped)
        save()
        plan = replace(plan, is_trained=True, ended=ended, seconds=watch.seconds)
        if run.processes.writes:
            plan.write(run.folder)  # after the checkpoint: from here on only the comparison is left
    else:
        weights = state.averaged if state.best is None else state.best.weights
    return {name: value.cpu() for name, value in merge_lora(network, weights).items()}, state, watch, plan


def _say_how_long(watch: _Watch, *, is_resumed: bool) -> None:
    """Before a large network is trained without a GPU, which may take days: say so, with what was measured here."""
    run, config = watch.run, watch.run.plan.config
    line = ProgressLine("training", watch.step, config.steps, message="no GPU: measuring how long this takes here")
    run.progress.write(line)
    watch.seconds_per_judged = judging_seconds_per_lesion(judged_model(run.base, device=run.device))
    if is_resumed:  # the next step will say
        watch.begun_at = time.monotonic()
        return
    seconds = estimate_seconds(run.base.network, run.source, config, device=run.device)
    whole = watch.seconds_at(seconds / config.steps)
    message = (
        f"this network is slow without a GPU: {config.steps} steps take about {_duration(seconds)} here, with "
        f"validation and the comparison at the end about {_duration(whole)} (measured on a few). It may be stopped and "
        "resumed; fewer --steps, the preset quick, the base lite or a GPU are faster."
    )
    run.progress.write(replace(line, seconds_left=whole, message=message))
    watch.begun_at = time.monotonic()  # what was only measured is no training


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 5400 else f"{max(1, round(seconds / 60))} min"


def _after_step(state: TrainingState, watch: _Watch, save: Any) -> bool:  # save: () -> None
    run, facts = watch.run, state.history[-1]
    watch.step = state.step
    if run.processes.writes and time.monotonic() - watch.saved_at > CHECKPOINT_EVERY_S:
        save()  # also after the first step: a full disk shows at once
    line = ProgressLine(
        "training",
        state.step,
        run.plan.config.steps,
        loss=facts["loss"],
        validation_dice=validations[-1][1] if (validations := known_validations(state)) else None,
        offset_mm=facts.get("offset_mm"),
        belief=facts.get("belief"),
        seconds_left=watch.seconds_left(),
    )
    run.progress.write(line)

    def on_pause() -> None:
        save()
        run.progress.write(replace(line, phase="paused", message="paused; nothing is lost"))

    def agreed(wish: Wish) -> Wish:
        """The first process's: another might see the file a moment later, and the others would wait for it."""
        return WISHES[int(run.processes.from_first(WISHES.index(wish)))]

    watch.is_stopped = wait_while_paused(run.folder, on_pause=on_pause, agreed=agreed)
    return watch.is_stopped


def why_ended(state: TrainingState, config: FineTuneConfig, *, is_stopped: bool) -> str:
    """In words: how far the training came, and which weights were kept."""
    kept = ""
    if state.best is not None:
        kept = f" The weights of step {state.best.step} did best and were kept."
        if config.method == "cpcl" and repair_share(config, state.best.step - 1) == 0:
            kept += " They learned the careless labels as drawn: none was repaired yet."
    if is_stopped:
        return f"It was stopped at step {state.step} of {config.steps}.{kept}"
    if state.step < config.steps:
        return f"It ended at step {state.step} of {config.steps}: validation got no better.{kept}"
    return f"All {config.steps} steps were done.{kept}"


def _finish(run: OpenRun, weights: dict[str, Tensor], state: TrainingState, watch: _Watch) -> FinishedRun:
    plan, after = run.plan, watch.judge
    base = judged_model(run.base, device=run.device)
    done = 0

    def say(message: str) -> None:
        left = count_judged(len(run.validation), 0) - done
        seconds = max(0.0, left * watch.seconds_per_judged)
        run.progress.write(
            ProgressLine("comparing", state.step, plan.config.steps, seconds_left=seconds, message=message)
        )

    say("looking at the careless labels once more")
    labels = _review(run, state, after)
    say(f"comparing on {len(run.validation)} lesions of the validation cases")
    site = compare_models(base, after, run.validation) if run.validation else None
    done = 2 * len(run.validation)
    say(f"looking for what was forgotten, on {BUNDLED_COUNT} bundled cases")
    bundled = compare_bundled(base, after)
    decision = decide(site, bundled)
    if decision.becomes_default and not plan.may_become_default:
        decision = Decision(False, f"Kept as a candidate, as was asked for. {decision.reason}", decision.caution)
    card = TrainingCard(
        name=plan.name,
        base=run.base.spec.name,
        base_sha256=plan.base_sha256,
        cohort=_facts(run),
        config=asdict(plan.config),
        why=plan.why,
        versions=versions(),
        machine=describe_machine(),
        made_at=now_utc(),
        seconds=plan.seconds,
        steps=state.step,
        ended=plan.ended,
        history=state.history,
        validations=known_validations(state),
        labels=labels,
        site=site,
        bundled=bundled,
        decision=decision,
    )
    return _keep(run, weights, card)


def _review(run: OpenRun, state: TrainingState, model: Model) -> LabelReview | None:
    if not run.source.careless_cases:
        return None
    names = [case.name for case in run.cases]
    network: Any = state.teacher  # an `nn.Module` with the members of `PromptableNetwork`
    if network is None:
        network = trainable_copy(model.network).eval()
    cohort, level = copy.deepcopy((state.cohort, state.level))
    return review_labels(network, run.source, names, run.plan.config, cohort=cohort, level=level, device=run.device)


def _facts(run: OpenRun) -> CohortFacts:
    careful = sum(case.quality == "HQ" for case in run.cases)
    return CohortFacts(
        fingerprint=run.plan.fingerprint,
        careful=careful,
        careless=len(run.cases) - careful,
        patients=len({case.patient for case in run.cases}),
        validation=len({one.case.name.rsplit("/", 1)[0] for one in run.validation}),
        validation_patients=len({one.patient for one in run.validation}),
    )


def _keep(run: OpenRun, weights: Mapping[str, Tensor], card: TrainingCard) -> FinishedRun:
    """Card first, then the weights, then the store, so that what is in the store is whole."""
    plan, spec = run.plan, run.base.spec
    write_card(run.folder, card)
    base, base_sha256 = base_facts(plan.base)
    cases = card.cohort.careful + card.cohort.careless
    about = SiteAbout(
        title=f"{spec.name}, fine-tuned on {cases} cases of a site ({plan.config.method})",
        architecture=spec.architecture,
        preprocessing=asdict(spec.preprocessing),
        base=base,
        base_sha256=base_sha256,
        holds="changed" if base else "all",
        made_from=spec.name,
        made_from_sha256=plan.base_sha256,
        licence=spec.licence,
        training_data=f"{spec.training_data}; then {cases} labelled cases of a site",
        made_at=card.made_at,
    )
    path = run.folder / MODEL_NAME
    write_site_file(path, weights, about, card=card.to_dict(for_others=True))
    import_model(path, name=card.name)
    if card.decision.becomes_default:
        set_default_model(card.name)
    run.progress.write(
        ProgressLine("done", card.steps, plan.config.steps, seconds_left=0.0, message=card.decision.reason)
    )
    return FinishedRun(card, card.name, path)


def known_validations(state: TrainingState) -> list[tuple[int, float]]:
    """Steps and Dice of the validations so far, from the history."""
    return [(int(line["step"]), line["validation"]) for line in state.history if "validation" in line]


def spread(cases: tuple[JudgedCase, ...], most: int) -> tuple[JudgedCase, ...]:
    """At most so many, of as many patients as can be, always the same ones."""
    by_patient: dict[str, list[JudgedCase]] = {}
    for one in cases:
        by_patient.setdefault(one.patient, []).append(one)
    turns = max((len(own) for own in by_patient.values()), default=0)
    ordered = [own[turn] for turn in range(turns) for own in by_patient.values() if turn < len(own)]
    return tuple(ordered[:most])

"""One fine-tuning run from a manifest to a model in the store, that may be killed and resumed at any moment.

The folder of a run holds `run.json` (what was asked, settings, fingerprints), `progress.jsonl` and `wish` (see
`run_progress`), `lock` and `alive` (see `heartbeat`), the checkpoint, and at the end `model.safetensors`, `card.json`,
`card.md` and `card.png`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from SegAnyPETLib.data.atomic import write_atomically
from SegAnyPETLib.errors import InputError, ModelError, OutputError
from SegAnyPETLib.finetune.checkpointing import CHECKPOINT_NAME
from SegAnyPETLib.finetune.cohort.cases import CohortCase, load_case
from SegAnyPETLib.finetune.cohort.checker import check_cohort
from SegAnyPETLib.finetune.cohort.cohort_crops import CohortCrops
from SegAnyPETLib.finetune.cohort.crop_kind import CropKind
from SegAnyPETLib.finetune.cohort.manifest import Manifest, read_manifest
from SegAnyPETLib.finetune.comparing import JudgedCase, lesion_cases
from SegAnyPETLib.finetune.config import FineTuneConfig, Method, Parts
from SegAnyPETLib.finetune.distributed import ALONE, Processes
from SegAnyPETLib.finetune.presets import PresetName, choose_preset
from SegAnyPETLib.finetune.run_progress import PROGRESS_NAME, WISH_NAME, ProgressFile, ProgressLine, write_wish
from SegAnyPETLib.model import load_model
from SegAnyPETLib.model.device import resolve_device
from SegAnyPETLib.model.load import Model
from SegAnyPETLib.model.site_models import check_site_name, is_site_model
from SegAnyPETLib.model.store import hash_file

RUN_NAME = "run.json"
SCHEMA = "seganypet-finetune/1"
LONGEST_RUN = 1 << 20
SHOWN_ERRORS = 5
FEWEST_BETWEEN = 5  # steps between two validations, or patience ends by chance


@dataclass(frozen=True)
class RunRequest:
    """What a user asks for.

    Attributes:
        manifest: The cohort's table.
        base: Model to begin with: a name or a weights file.
        preset: How much time to take.
        method: ``hq``, ``plain`` or ``cpcl``; what suits the cohort where None.
        parts: What learns; what suits the cohort where None.
        steps: Optimizer steps; the preset's where None.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        seed: Decides all draws.
        name: Of the new model; made from base, method and cohort where empty.
        may_become_default: False keeps it a candidate, however good it is.
    """

    manifest: Path
    base: str = "lite"
    preset: PresetName = "balanced"
    method: Method | None = None
    parts: Parts | None = None
    steps: int | None = None
    device: str = "auto"
    seed: int = 1
    name: str = ""
    may_become_default: bool = True


@dataclass(frozen=True)
class RunPlan:
    """What a run depends on, as `run.json` keeps it.

    Attributes:
        manifest: The cohort's table, absolute.
        base: Name or path of the model it began with.
        base_sha256: Of its weights file.
        fingerprint: Of the manifest and all its files.
        name: Of the new model.
        device: As asked for.
        config: All settings.
        why: Why these, in words.
        may_become_default: See `RunRequest`.
        is_trained: Training is over; comparing may not be.
        ended: Why training ended, in words.
        seconds: Of training so far.
    """

    manifest: str
    base: str
    base_sha256: str
    fingerprint: str
    name: str
    device: str
    config: FineTuneConfig
    why: str
    may_become_default: bool = True
    is_trained: bool = False
    ended: str = ""
    seconds: float = 0.0

    def write(self, folder: Path) -> None:
        """Write `run.json`, whole or not at all.

        Raises:
            OutputError: It cannot be written.
        """
        with write_atomically(folder / RUN_NAME) as temporary:
            document = {"schema": SCHEMA, **asdict(self)}
            temporary.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> RunPlan:
        """Read what `write` wrote.

        Raises:
            InputError: There is no run in the folder, or its record is damaged.
        """
        path = folder / RUN_NAME
        try:
            with path.open("rb") as stream:
                document: Any = json.loads(stream.read(LONGEST_RUN))  # checked below
            if document.pop("schema") != SCHEMA:
                msg = "another schema"
                raise ValueError(msg)
            config = FineTuneConfig.from_json(json.dumps(document.pop("config")))
            return cls(config=config, **document)
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, ModelError) as error:
            msg = f"Expected a fine-tuning run in {folder}; found none that can be resumed ({error}). Begin anew."
            raise InputError(msg) from error


@dataclass(frozen=True, eq=False)
class OpenRun:
    """A run that is ready to train.

    Attributes:
        folder: Of the run.
        plan: What it depends on.
        base: The model it begins with; left as it is.
        device: To train on.
        cases: Of training, in the order crops count them.
        validation: Lesions to be judged; none where the cohort has none.
        source: Of crops.
        progress: Where lines go.
        processes: That train together.
    """

    folder: Path
    plan: RunPlan
    base: Model
    device: torch.device
    cases: tuple[CohortCase, ...]
    validation: tuple[JudgedCase, ...]
    source: CohortCrops
    progress: ProgressFile
    processes: Processes = ALONE


def begin_run(
    request: RunRequest,
    folder: Path,
    *,
    listener: Callable[[ProgressLine], None] | None = None,
    processes: Processes = ALONE,
) -> OpenRun:
    """Check the cohort, choose settings, open everything; nothing is trained yet.

    Args:
        request: What is asked for.
        folder: New or empty; made where it is not there.
        listener: Called with each line of progress.
        processes: That train together.

    Raises:
        InputError: The cohort has errors, or no training cases.
        ModelError: The model cannot be used, or the name is none.
        OutputError: The folder is in use or cannot be written.
    """
    progress = _make_folder(folder, listener, processes)
    manifest = read_manifest(request.manifest)
    progress.write(ProgressLine("checking", message=f"checking {len(manifest.entries)} cases"))
    if processes.writes:
        require_sound(manifest)
    base = load_model(request.base, device="cpu")
    device = processes.device if processes.count > 1 else resolve_device(request.device)
    cases = _load(manifest, "train")
    plan = _planned(request, base, cases, manifest, device)
    if processes.writes:
        plan.write(folder)
    return _opened(folder, plan, base, device, manifest, cases, progress, processes)


def _planned(
    request: RunRequest, base: Model, cases: tuple[CohortCase, ...], manifest: Manifest, device: torch.device
) -> RunPlan:
    careful = sum(case.quality == "HQ" for case in cases)
    preset = choose_preset(
        request.preset,
        architecture=base.spec.architecture,
        careful_cases=careful,
        careless_cases=len(cases) - careful,
        device=device,
    )
    config = _chosen_config(request, preset.config)
    fingerprint = manifest.fingerprint
    name = check_site_name(request.name) if request.name else _free_name(base, config, fingerprint)
    if is_site_model(name):
        msg = f"Expected a new name for the model; {name} is taken. Choose another with --name."
        raise ModelError(msg)
    is_as_preset = (config.method, config.parts) == (preset.config.method, preset.config.parts)
    why = (
        f"Method {config.method} and parts {config.parts} were asked for; the preset would have taken "
        f"{preset.config.method} and {preset.config.parts}."
    )
    return RunPlan(
        manifest=str(Path(request.manifest).absolute()),
        base=request.base,
        base_sha256=_hash_of(base),
        fingerprint=fingerprint,
        name=name,
        device=request.device,
        config=config,
        why=preset.why if is_as_preset else why,
        may_become_default=request.may_become_default,
    )


def reopen_run(
    folder: Path, *, listener: Callable[[ProgressLine], None] | None = None, processes: Processes = ALONE
) -> OpenRun:
    """Open a run that was interrupted, with the settings it was begun with.

    Raises:
        InputError: There is none, or the cohort has changed since.
        ModelError: The model it began with has changed since.
    """
    plan = RunPlan.read(folder)
    progress = ProgressFile(folder, listener) if processes.writes else _Silence(folder)
    if processes.writes:
        write_wish(folder, "run")  # whoever resumes a paused or stopped run wants it to go on
    manifest = read_manifest(plan.manifest)
    if manifest.fingerprint != plan.fingerprint:
        msg = (
            f"Expected the cohort the run began with; {plan.manifest} or one of its files has changed since. Begin "
            "a new run, or restore them."
        )
        raise InputError(msg)
    base = load_model(plan.base, device="cpu")
    if _hash_of(base) != plan.base_sha256:
        msg = f"Expected the weights of {plan.base} the run began with; they have changed since. Begin a new run."
        raise ModelError(msg)
    device = processes.device if processes.count > 1 else resolve_device(plan.device)
    return _opened(folder, plan, base, device, manifest, _load(manifest, "train"), progress, processes)


def require_sound(manifest: Manifest) -> None:
    """Refuse a cohort with errors.

    Raises:
        InputError: With the first of them.
    """
    errors = [finding for finding in check_cohort(manifest) if finding.severity == "error"]
    if errors:
        shown = " ".join(f"[{finding}]" for finding in errors[:SHOWN_ERRORS])
        more = f" and {len(errors) - SHOWN_ERRORS} more" if len(errors) > SHOWN_ERRORS else ""
        msg = (
            f"Expected a cohort without errors; found {len(errors)}: {shown}{more}. Correct them; seganypet cohort "
            "check shows all."
        )
        raise InputError(msg)


class _Silence(ProgressFile):
    """Of the processes that are not the first: nothing is said or written."""

    def write(self, line: ProgressLine) -> None:
        """Say nothing."""


def _make_folder(folder: Path, listener: Callable[[ProgressLine], None] | None, processes: Processes) -> ProgressFile:
    if not processes.writes:
        return _Silence(folder)
    taken = [name for name in (RUN_NAME, CHECKPOINT_NAME, PROGRESS_NAME) if (folder / name).exists()]
    try:
        if (folder / RUN_NAME).exists():
            msg = f"Expected a new folder for the run; {folder} holds one ({', '.join(taken)}). Add --resume to go on."
            raise OutputError(msg)
        folder.mkdir(parents=True, exist_ok=True)
        for name in (PROGRESS_NAME, WISH_NAME):
            (folder / name).unlink(missing_ok=True)  # of a run that ended before it was planned
    except OSError as error:
        msg = f"Cannot use the folder {folder}: {error.strerror}. Choose a folder you may write to."
        raise OutputError(msg) from error
    return ProgressFile(folder, listener)


def _opened(
    folder: Path,
    plan: RunPlan,
    base: Model,
    device: torch.device,
    manifest: Manifest,
    cases: tuple[CohortCase, ...],
    progress: ProgressFile,
    processes: Processes,
) -> OpenRun:
    source = CohortCrops(cases, replay_share=plan.config.replay_share, kind=CropKind.of(base.spec))
    if plan.config.method != "hq" and not source.careless_cases:
        msg = (
            f"Expected carelessly labelled (LQ) training cases for the method {plan.config.method}; found none. Use hq."
        )
        raise InputError(msg)
    validation = lesion_cases(_load(manifest, "validation"))
    return OpenRun(folder, plan, base, device, cases, validation, source, progress, processes)


def _load(manifest: Manifest, split: Any) -> tuple[CohortCase, ...]:  # split: one of the manifest's
    return tuple(load_case(entry) for entry in manifest.of_split(split))


def _chosen_config(request: RunRequest, config: FineTuneConfig) -> FineTuneConfig:
    steps = request.steps or config.steps
    changes: dict[str, Any] = {
        "method": request.method or config.method,
        "parts": request.parts or config.parts,
        "steps": steps,
        "seed": request.seed,
    }
    if request.steps:
        changes["validate_every"] = max(FEWEST_BETWEEN, round(config.validate_every * steps / config.steps))
        changes["warm_up_steps"] = max(1, round(config.warm_up_steps * steps / config.steps))
    return replace(config, **changes)


def _free_name(base: Model, config: FineTuneConfig, fingerprint: str) -> str:
    """A name that says what the model is, and that no other has."""
    stem = "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in base.spec.name).strip("._-")
    name = f"{stem[:40] or 'model'}-{config.method}-{fingerprint[:6]}"
    number, found = 1, name
    while is_site_model(found):
        number += 1
        found = f"{name}-{number}"
    return found


def _hash_of(model: Model) -> str:
    if model.weights_path is None:
        msg = "Expected a model with a weights file; found one made in memory. Save it first."
        raise ModelError(msg)
    return hash_file(model.weights_path)


def judged_model(base: Model, *, device: torch.device) -> Model:
    """A copy of the base model to be filled with other weights; the calibration of the base is left behind."""
    network = copy.deepcopy(base.network)
    spec = replace(base.spec, calibration=None)
    return Model(network, spec=spec, device=device, weights_path=base.weights_path)


def now_utc() -> str:
    """ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")

"""Everything that changes while training, in one file that is whole at any moment: safetensors with JSON inside.

Writing goes beside the file and then takes its place, so a run killed in the middle of it finds the file before. All
draws of a run come from generators made of (seed, step), so there is no state of a generator to keep.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from SegAnyPETLib.data.atomic import write_atomically
from SegAnyPETLib.errors import WeightsError
from SegAnyPETLib.finetune.config import FineTuneConfig
from SegAnyPETLib.finetune.distributed import ALONE, Processes
from SegAnyPETLib.finetune.loop import Best, TrainingState
from SegAnyPETLib.version import __version__

CHECKPOINT_NAME = "checkpoint.safetensors"
LAYOUT = 2
SAID = {"config", "base_sha256", "manifest_fingerprint", "processes", "versions", "step", "history"}
SAID |= {"cohort", "level", "pieces", "scaler", "groups", "best"}
_UNFINISHED = f".????????????-{CHECKPOINT_NAME}"  # left by `write_atomically` where a process was killed


@dataclass(frozen=True)
class _Found:
    """A file's content, checked against what it is for."""

    said: dict[str, Any]  # JSON
    tensors: dict[str, Tensor]


def save_checkpoint(
    folder: Path | str,
    state: TrainingState,
    config: FineTuneConfig,
    *,
    base_sha256: str,
    manifest_fingerprint: str,
    processes: Processes = ALONE,
) -> None:
    """Write the state into a folder that exists; the one before is kept until this one is whole.

    Weights that do not learn are not written: they are the base model's.

    Args:
        folder: Of the run.
        state: After a step.
        config: Of the run.
        base_sha256: Of the weights the run began with.
        manifest_fingerprint: Of the cohort.
        processes: Only the first writes.

    Raises:
        OutputError: It cannot be written.
    """
    if not processes.writes:
        return
    said = {
        "layout": LAYOUT,
        "config": asdict(config),
        "base_sha256": base_sha256,
        "manifest_fingerprint": manifest_fingerprint,
        "processes": processes.count,
        "versions": versions(),
        "step": state.step,
        "history": state.history,
        "cohort": {"careful": state.cohort.careful, "careless": state.cohort.careless},
        "level": {"careful": state.level.careful, "careless": state.level.careless},
        "pieces": asdict(state.pieces),
        "scaler": state.scaler.state_dict(),
        "groups": state.optimizer.state_dict()["param_groups"],
        "best": None
        if state.best is None
        else {"score": state.best.score, "step": state.best.step, "worse_since": state.best.worse_since},
    }
    tensors = {name: value.detach().cpu().contiguous() for name, value in _tensors(state).items()}
    with write_atomically(Path(folder) / CHECKPOINT_NAME) as path:
        save_file(tensors, path, metadata={"state": json.dumps(said)})


def load_checkpoint(
    folder: Path | str,
    state: TrainingState,
    config: FineTuneConfig,
    *,
    base_sha256: str,
    manifest_fingerprint: str,
    processes: Processes = ALONE,
) -> bool:
    """Go on where an interrupted run was.

    Args:
        folder: Of the run.
        state: From `start`, with the base model's weights and the same trained parts; it is filled.
        config: Of the run.
        base_sha256: Of the base model.
        manifest_fingerprint: Of the cohort.
        processes: Each reads for itself.

    Returns:
        Whether there was a checkpoint; where not, `state` is as before.

    Raises:
        WeightsError: The file is damaged, or of a run with another configuration, cohort, base model or number of
            processes; the message says what differs, and `state` is as before.
        ModelError: The processes do not find the same checkpoint.
    """
    path = Path(folder) / CHECKPOINT_NAME
    if processes.writes:
        for unfinished in Path(folder).glob(_UNFINISHED):
            unfinished.unlink(missing_ok=True)
    if path.is_file():
        expected = {
            "config": json.loads(config.to_json()),
            "base_sha256": base_sha256,
            "manifest_fingerprint": manifest_fingerprint,
            "processes": processes.count,
        }
        found = _read(path)
        _require_same_run(path, found, expected)
        _require_same_tensors(path, found, state)
        _fill(state, found)
    processes.require_equal(state.step, what="checkpoint")
    return path.is_file()


def versions() -> dict[str, str]:
    """Of what the numbers depend on."""
    return {
        "seganypet": __version__,
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def changing_names(network: nn.Module) -> set[str]:
    """Entries of a network's state that training may change: what learns, and every buffer."""
    fixed = {name for name, parameter in network.named_parameters() if not parameter.requires_grad}
    return set(network.state_dict()) - fixed


def _tensors(state: TrainingState) -> dict[str, Tensor]:
    """Every tensor of the state by name; each one separate in memory."""
    names = changing_names(state.network)
    parts: dict[str, dict[str, Tensor]] = {"network": state.network.state_dict(), "averaged": state.averaged}
    if state.teacher is not None:
        parts["teacher"] = state.teacher.state_dict()
    if state.best is not None:
        parts["best"] = state.best.weights
    tensors = {f"{part}/{name}": values[name] for part, values in parts.items() for name in names}
    for number, values in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{number}/{name}": value for name, value in values.items()}
    return tensors


def _read(path: Path) -> _Found:
    try:
        with safe_open(path, framework="pt") as file:
            said = json.loads((file.metadata() or {}).get("state", ""))
            tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(said, dict) or said.get("layout") != LAYOUT or not said.keys() >= SAID:
        raise _damaged(path, "a file that was not written by this version")
    return _Found(said, tensors)


def _require_same_run(path: Path, found: _Found, expected: dict[str, Any]) -> None:
    there = dict(found.said)
    differences = [
        f"{name} {_short(there.get(name))} instead of {_short(wanted)}"
        for name, wanted in expected.items()
        if name != "config" and there.get(name) != wanted
    ]
    differences += _differing_settings(there.get("config"), expected["config"])
    if differences:
        msg = (
            f"Expected a checkpoint of the same run in {path}; found {'; '.join(differences)}. Resume with what the "
            "run began with, or give another folder."
        )
        raise WeightsError(msg)


def _differing_settings(there: object, wanted: dict[str, Any], prefix: str = "") -> list[str]:
    if not isinstance(there, dict):
        return ["no settings"]
    differences: list[str] = []
    for name in sorted(there.keys() | wanted.keys()):
        here, now = there.get(name), wanted.get(name)
        if isinstance(now, dict):
            differences += _differing_settings(here, now, f"{name}.")
        elif here != now:
            differences.append(f"{prefix}{name} {_short(here)} instead of {_short(now)}")
    return differences


def _require_same_tensors(path: Path, found: _Found, state: TrainingState) -> None:
    """Names and shapes, as far as they are known before the first step: the optimizer's come with it."""
    wanted = {name: value.shape for name, value in _tensors(state).items() if not name.startswith("optimizer/")}
    if found.said.get("best") is not None:
        wanted |= {f"best/{name}": state.averaged[name].shape for name in changing_names(state.network)}
    parameters = [parameter for group in state.optimizer.param_groups for parameter in group["params"]]
    there = {name: value.shape for name, value in found.tensors.items() if not name.startswith("optimizer/")}
    if there != wanted:
        odd = sorted(name for name in there.keys() | wanted.keys() if there.get(name) != wanted.get(name))
        raise _damaged(path, f"other weights: {', '.join(odd[:4])}")
    for name, value in found.tensors.items():
        if name.startswith("optimizer/"):
            number = name.split("/")[1]
            if not number.isdigit() or int(number) >= len(parameters):
                raise _damaged(path, f"a state of no parameter, {name}")
            if value.ndim and value.shape != parameters[int(number)].shape:
                raise _damaged(path, f"a state of another shape, {name}")


@torch.no_grad()
def _fill(state: TrainingState, found: _Found) -> None:
    said, parts = found.said, _by_part(found.tensors)
    for name, value in state.network.state_dict().items():
        if name in parts["network"]:
            value.copy_(parts["network"][name])
    for name, value in parts["averaged"].items():
        state.averaged[name].copy_(value)
    if state.teacher is not None:
        for name, value in state.teacher.state_dict().items():
            if name in parts["teacher"]:
                value.copy_(parts["teacher"][name])
    _fill_optimizer(state.optimizer, parts.get("optimizer", {}), said["groups"])
    state.step, state.history = said["step"], said["history"]
    state.cohort.careful = [(case, offset, share) for case, offset, share in said["cohort"]["careful"]]
    state.cohort.careless = [(case, offset, share) for case, offset, share in said["cohort"]["careless"]]
    state.level.careful = [(case, level, dice) for case, level, dice in said["level"]["careful"]]
    state.level.careless = [(case, level, dice) for case, level, dice in said["level"]["careless"]]
    state.pieces.crops, state.pieces.was_halved = said["pieces"]["crops"], said["pieces"]["was_halved"]
    if said["scaler"]:
        state.scaler.load_state_dict(said["scaler"])
    if said["best"] is not None:
        weights = {name: value.clone() for name, value in state.averaged.items()}  # those that do not learn among them
        for name, value in parts["best"].items():
            weights[name].copy_(value)
        state.best = Best(weights=weights, **said["best"])


def _fill_optimizer(
    optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], groups: Iterable[dict[str, Any]]
) -> None:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        number, key = name.split("/", 1)
        if value.ndim:  # laid out in memory like its parameter, or sums would round otherwise
            value = torch.empty_like(parameters[int(number)]).copy_(value)
        moments.setdefault(int(number), {})[key] = value
    with_tuples = [{key: tuple(value) if key == "betas" else value for key, value in group.items()} for group in groups]
    optimizer.load_state_dict({"state": moments, "param_groups": with_tuples})


def _by_part(tensors: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    parts: dict[str, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        part, rest = name.split("/", 1)
        parts.setdefault(part, {})[rest] = value
    return parts


def _damaged(path: Path, found: str) -> WeightsError:
    return WeightsError(
        f"Expected a checkpoint of this run in {path}, found {found}. Begin anew in another folder, or delete it."
    )


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 16 else f"{text[:12]}..."

"""Run a model, a model per fold or a method without one over case folders; an error in one does not stop the others."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SegAnyPETLib.cli.console import Progress, write_error
from SegAnyPETLib.cli.exit_codes import ExitCode, exit_code_of
from SegAnyPETLib.cli.options import load_chosen_model
from SegAnyPETLib.errors import SegAnyPETError

if TYPE_CHECKING:
    from SegAnyPETLib.evaluation import CaseResult, ClickedMethod, EvaluationProtocol, EvaluationResult, FailedCase
    from SegAnyPETLib.evaluation.protocol import MaskWriter

MODEL = "model"  # of --method: what --model names, not a classical method


@dataclass
class CaseRuns:
    """What came of every case, under one or more protocols.

    Attributes:
        protocols: By name.
        results: Per protocol, in the order they came.
        failures: Per protocol.
        errors: Every error, in the order they came.
        weights: Per model name or path the SHA-256 of its file; None for a model without one.
    """

    protocols: Mapping[str, EvaluationProtocol]
    results: dict[str, list[CaseResult]] = field(default_factory=dict)
    failures: dict[str, list[FailedCase]] = field(default_factory=dict)
    errors: list[SegAnyPETError] = field(default_factory=list)
    weights: dict[str, str | None] = field(default_factory=dict)

    def evaluations(self) -> dict[str, EvaluationResult]:
        """Per protocol its result, cases by name; a protocol under which no case succeeded is left out.

        Raises:
            SegAnyPETError: The first error, where no case succeeded under the first protocol.
        """
        from SegAnyPETLib.evaluation import EvaluationResult

        found = {
            name: EvaluationResult(
                protocol,
                tuple(sorted(self.results[name], key=lambda result: (result.case, result.repeat))),
                tuple(self.failures.get(name, ())),
            )
            for name, protocol in self.protocols.items()
            if self.results.get(name)
        }
        if self.errors and next(iter(self.protocols)) not in found:
            raise self.errors[0]
        return found

    @property
    def exit_code(self) -> ExitCode:
        """Of the first error; done where there was none."""
        return exit_code_of(self.errors[0]) if self.errors else ExitCode.DONE


def run_cases(
    options: argparse.Namespace,
    folders: Sequence[Path],
    protocols: Mapping[str, EvaluationProtocol],
    *,
    method: ClickedMethod | None = None,
    beside: Mapping[str, ClickedMethod] | None = None,
    on_mask: MaskWriter | None = None,
) -> CaseRuns:
    """Every case under every protocol; one fold's model is in memory at a time.

    Args:
        options: With those of `add_model`, and `folds`, `data` and `quiet`.
        folders: Of the cases.
        protocols: By name.
        method: Evaluated instead of a model; none is loaded then.
        beside: Methods that are given the same clicks, by name.
        on_mask: Called after each click; with several protocols or repeats later masks replace earlier ones.
    """
    from SegAnyPETLib.data.case_folder import case_number

    def fold_of(folder: Path) -> int:
        return case_number(folder.name) % options.folds if options.folds else 0

    runs = CaseRuns(protocols)
    with Progress(len(folders), unit="case", is_quiet=options.quiet) as progress:
        for fold, members in groupby(sorted(folders, key=lambda folder: (fold_of(folder), folder.name)), key=fold_of):
            evaluated = method or _load_method(runs, options, fold)
            for folder in members:
                progress.next_step(folder.name)
                _run_case(runs, evaluated, folder, beside=beside, on_mask=on_mask)
    return runs


def _load_method(runs: CaseRuns, options: argparse.Namespace, fold: int) -> ClickedMethod:
    from SegAnyPETLib.evaluation import SessionMethod
    from SegAnyPETLib.model.store import hash_file
    from SegAnyPETLib.session import InteractiveSession

    name = options.model.replace("{fold}", str(fold))
    model = load_chosen_model(options, name_or_path=name)
    runs.weights[name] = hash_file(model.weights_path) if model.weights_path else None
    return SessionMethod(InteractiveSession(model))


def _run_case(
    runs: CaseRuns,
    method: ClickedMethod,
    folder: Path,
    *,
    beside: Mapping[str, ClickedMethod] | None,
    on_mask: MaskWriter | None,
) -> None:
    from SegAnyPETLib.evaluation import evaluate_case, read_case

    planned = [(name, p, repeat) for name, p in runs.protocols.items() for repeat in range(p.repeats)]
    try:
        case = read_case(folder)
    except SegAnyPETError as error:
        for name, _, repeat in planned:
            _note(runs, name, folder, repeat, error)
        _report(runs, folder, error)
        return
    for name, protocol, repeat in planned:
        try:
            result = evaluate_case(method, case, protocol=protocol, beside=beside, repeat=repeat, on_mask=on_mask)
        except SegAnyPETError as error:
            _note(runs, name, folder, repeat, error)
            _report(runs, folder, error)
        else:
            runs.results.setdefault(name, []).append(result)


def _note(runs: CaseRuns, name: str, folder: Path, repeat: int, error: SegAnyPETError) -> None:
    """Keep the error for the result; folders of the machine stay out of it."""
    from SegAnyPETLib.evaluation import FailedCase

    message = str(error).replace(str(folder), folder.name)
    runs.failures.setdefault(name, []).append(FailedCase(folder.name, repeat, type(error).__name__, message))


def _report(runs: CaseRuns, folder: Path, error: SegAnyPETError) -> None:
    runs.errors.append(error)
    write_error(f"{folder.name}: {error}")


def describe_run(options: argparse.Namespace, weights: Mapping[str, str | None]) -> dict[str, Any]:
    """What a result says about method, model, software and machine; `model` is null where the method needs none."""
    from SegAnyPETLib.benchmark.machine import describe_machine, describe_software, peak_memory_mb

    return {
        "method": options.method,
        "model": options.model if options.method == MODEL else None,
        "weights_sha256": dict(weights),
        "folds": options.folds,
        "fold": "/".join(map(str, options.fold)) if options.fold else None,
        "software": describe_software(),
        "machine": describe_machine(),
        "peak_memory_mb": peak_memory_mb(),
    }

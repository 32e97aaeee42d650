"""`seganypet calibrate`: fit what makes a model's probability, score and volume interval mean what they say."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SegAnyPETLib.cli.console import Progress, write_json, write_line, write_table
from SegAnyPETLib.cli.exit_codes import ExitCode
from SegAnyPETLib.cli.options import add_common, add_model, load_chosen_model
from SegAnyPETLib.errors import OutputError

if TYPE_CHECKING:
    from SegAnyPETLib.calibration import Observation

CALIBRATION_NAME = "calibration.json"
REPORT_NAME = "report.json"
FIGURE_NAME = "reliability.png"
SCORE_COLUMNS = ("mean_absolute_error", "bias", "expected_calibration_error", "pearson", "spearman")
DEFAULT_FOLDS = 5  # to measure on left-out cases also where one model serves all
EPILOG = (
    "DATA is a folder as for `seganypet evaluate`. Use weights that have not seen the case: a model path with {fold} "
    "and --folds N. OUT receives calibration.json, which a registry entry names as its calibration_file, report.json "
    "with what was measured on left-out folds, and reliability.png."
)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the subcommand to argparse."""
    parser = subparsers.add_parser(
        "calibrate",
        help="fit a model's confidence to cases with a reference",
        description="Fit a model's probability, score and volume interval to simulated clicks on cases.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("--data", required=True, type=Path, metavar="DIR", help="folder of case folders")
    add_model(parser)
    parser.add_argument("--clicks", type=int, default=10, metavar="N", help="clicks per case (default 10)")
    parser.add_argument("--folds", type=int, metavar="N", help="weights of each case's own fold")
    parser.add_argument(
        "--first-click",
        nargs="+",
        choices=("deepest", "random", "hottest"),
        default=["deepest"],
        help="one run over all cases for each (default deepest)",
    )
    parser.add_argument(
        "--cut-faces", type=float, default=0.0, metavar="MM", help="cut each face of each image by a random 0 to MM"
    )
    parser.add_argument("--seed", type=int, default=0, help="for cut faces and a random first click")
    parser.add_argument(
        "--coverage", type=float, default=0.9, help="share of true volumes the interval shall hold (default 0.9)"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for the results")
    add_common(parser)
    parser.set_defaults(run=run, usage_error=parser.error)


def run(options: argparse.Namespace) -> int:
    """Do what `seganypet calibrate` was asked to."""
    from SegAnyPETLib.calibration import choose, describe_calibration, fit_calibration, leave_folds_out
    from SegAnyPETLib.calibration.figure import write_reliability_figure

    if ("{fold}" in options.model) != (options.folds is not None):
        options.usage_error("--folds N and a --model path with {fold} go together")
    if not 0 < options.coverage < 1:
        options.usage_error("--coverage is a share between 0 and 1, for example 0.9")
    _make_folder(options.out)
    weights: dict[str, str | None] = {}
    observations = _observe_all(options, weights)
    choices, tried = choose(observations, coverage=options.coverage)
    calibration = fit_calibration(
        observations, choices, coverage=options.coverage, conditions=_conditions(options, observations)
    )
    held_out = leave_folds_out(observations, choices, coverage=options.coverage)
    report = describe_calibration(calibration, held_out, tried=tried, about=_about(options, weights))
    write_json(asdict(calibration), file=str(options.out / CALIBRATION_NAME))
    write_json(report, file=str(options.out / REPORT_NAME))
    write_reliability_figure(options.out / FIGURE_NAME, held_out)
    if options.json:
        write_json(report)
    else:
        _write_summary(report, options.out)
    return ExitCode.DONE


def _observe_all(options: argparse.Namespace, weights: dict[str, str | None]) -> list[Observation]:
    """Every case once for each kind of first click; one fold's model is in memory at a time."""
    from SegAnyPETLib.calibration import observe_case
    from SegAnyPETLib.data.case_folder import case_number
    from SegAnyPETLib.evaluation import EvaluationProtocol, find_cases, read_case
    from SegAnyPETLib.model.store import hash_file
    from SegAnyPETLib.session import InteractiveSession

    def fold_of(folder: Path) -> int:
        return case_number(folder.name) % (options.folds or DEFAULT_FOLDS)

    protocols = [
        EvaluationProtocol(options.clicks, first_click, options.cut_faces, options.seed)
        for first_click in dict.fromkeys(options.first_click)
    ]
    folders = find_cases(options.data)
    observations: list[Observation] = []
    with Progress(len(folders), unit="case", is_quiet=options.quiet) as progress:
        for fold, members in groupby(sorted(folders, key=lambda folder: (fold_of(folder), folder.name)), key=fold_of):
            name = options.model.replace("{fold}", str(fold))
            if name not in weights:
                model = load_chosen_model(options, name_or_path=name)
                weights[name] = hash_file(model.weights_path) if model.weights_path else None
                session = InteractiveSession(model)
            for folder in members:
                progress.next_step(folder.name)
                case = read_case(folder)
                for protocol in protocols:
                    observations += observe_case(session, case, protocol=protocol, fold=fold)
    return observations


def _conditions(options: argparse.Namespace, observations: Sequence[Observation]) -> str:
    cases = len({observation.case for observation in observations})
    weights = f"cross-validated in {options.folds} folds" if options.folds else "one set of weights for all cases"
    return (
        f"{cases} cases, {weights}, {options.clicks} clicks, first click {' and '.join(options.first_click)}, "
        f"faces cut by 0 to {options.cut_faces:g} mm, seed {options.seed}"
    )


def _about(options: argparse.Namespace, weights: Mapping[str, str | None]) -> dict[str, Any]:
    from SegAnyPETLib.benchmark.machine import describe_machine, describe_software

    return {
        "model": options.model,
        "weights_sha256": dict(weights),
        "software": describe_software(),
        "machine": describe_machine(),
    }


def _write_summary(report: Mapping[str, Any], out: Path) -> None:
    error = report["probability"]["expected_calibration_error"]
    write_line(f"{report['cases']} cases, {report['masks']} masks; all figures on left-out folds")
    write_line()
    write_table(
        ["calibration error of the probability", "before", "after"],
        [
            ["all voxels near mask and reference", f"{error['before']:.4f}", f"{error['after']:.4f}"],
            ["doubtful voxels", f"{error['doubtful_before']:.4f}", f"{error['doubtful_after']:.4f}"],
        ],
    )
    write_line()
    rows = [
        [name.replace("_", " "), *(_cell(figures[column]) for column in SCORE_COLUMNS)]
        for name, figures in report["score"].items()
    ]
    write_table(["score against Dice", *(column.replace("_", " ") for column in SCORE_COLUMNS)], rows)
    write_line()
    rows = [
        [name.replace("_", " "), *map(_cell, figures.values())] for name, figures in report["volume_interval"].items()
    ]
    write_table(["volume interval", "covered", "median upper/lower", "mean"], rows)
    write_line()
    write_line(f"written to {out}: {CALIBRATION_NAME}, {REPORT_NAME}, {FIGURE_NAME}")


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"Cannot make the folder {folder}: {error.strerror}. Choose a folder you may write to."
        raise OutputError(msg) from error

"""`seganypet evaluate`: how good a model is, with simulated clicks on cases that have a reference."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SegAnyPETLib.cli.console import STDOUT_NAME, Progress, write_json, write_line, write_table
from SegAnyPETLib.cli.exit_codes import ExitCode
from SegAnyPETLib.cli.options import add_common, add_model, load_chosen_model
from SegAnyPETLib.errors import OutputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from SegAnyPETLib.evaluation import Case, CaseResult, Estimate, EvaluationProtocol, EvaluationResult
    from SegAnyPETLib.evaluation.protocol import MaskWriter
    from SegAnyPETLib.geometry import VoxelBox

EPILOG = (
    "DATA holds CASE/pet.nii.gz (SUV) and CASE/gtv.nii.gz. The first click goes to the voxel deepest inside the "
    "reference, each next one to the deepest voxel of the largest error. Cross-validation in one run: a model path "
    "with {fold} and --folds N; case numbers modulo N choose the weights that have not seen the case."
)
SHOWN_CLICKS = (1, 2, 3, 5, 10)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the subcommand to argparse."""
    parser = subparsers.add_parser(
        "evaluate",
        help="measure a model with simulated clicks",
        description="How good a model is, with simulated clicks on cases that have a reference.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("--data", required=True, type=Path, metavar="DIR", help="folder of case folders")
    add_model(parser)
    parser.add_argument("--clicks", type=int, default=10, metavar="N", help="clicks per case (default 10)")
    parser.add_argument("--cases", metavar="A,B,C", help="only these cases")
    parser.add_argument("--fold", type=_parse_fold, metavar="K/N", help="only cases whose number modulo N is K")
    parser.add_argument("--folds", type=int, metavar="N", help="cross-validate: weights of each case's own fold")
    parser.add_argument("--first-click", choices=("deepest", "random", "hottest"), default="deepest")
    parser.add_argument(
        "--cut-faces",
        type=float,
        default=0.0,
        metavar="MM",
        help="cut each face of each image by a random 0 to MM, never into the reference: crops give a lesion away",
    )
    parser.add_argument("--seed", type=int, default=0, help="for cut faces, a random first click and the bootstrap")
    parser.add_argument(
        "--save-masks", type=Path, metavar="DIR", help="write DIR/CASE/click_NN.nii.gz on the case's grid"
    )
    add_common(parser, has_json_file=True)
    parser.set_defaults(run=run, usage_error=parser.error)


def run(options: argparse.Namespace) -> int:
    """Do what `seganypet evaluate` was asked to."""
    from SegAnyPETLib.evaluation import EvaluationProtocol, EvaluationResult, find_cases

    if ("{fold}" in options.model) != (options.folds is not None):
        options.usage_error("--folds N and a --model path with {fold} go together")
    protocol = EvaluationProtocol(options.clicks, options.first_click, options.cut_faces, options.seed)
    names = [name.strip() for name in options.cases.split(",")] if options.cases else None
    folders = find_cases(options.data, names=names, fold=options.fold)
    if options.save_masks is not None:
        _make_folder(options.save_masks)
    weights: dict[str, str | None] = {}
    result = EvaluationResult(protocol, _evaluate_all(options, folders, protocol, weights))
    if options.json:
        write_json(result.to_json_object(about=_about(options, weights)), file=options.json)
    if options.json != STDOUT_NAME:
        write_summary(result)
    return ExitCode.DONE


def _evaluate_all(
    options: argparse.Namespace, folders: Sequence[Path], protocol: EvaluationProtocol, weights: dict[str, str | None]
) -> tuple[CaseResult, ...]:
    """Every case, in the order of names; one fold's model is in memory at a time, its hash is noted in `weights`."""
    from SegAnyPETLib.evaluation import SessionMethod, evaluate_case, read_case
    from SegAnyPETLib.evaluation.cases import case_number
    from SegAnyPETLib.model.store import hash_file
    from SegAnyPETLib.session import InteractiveSession

    def fold_of(folder: Path) -> int:
        return case_number(folder.name) % options.folds if options.folds else 0

    writer = _mask_writer(options.save_masks) if options.save_masks else None
    results: list[CaseResult] = []
    with Progress(len(folders), unit="case", is_quiet=options.quiet) as progress:
        for fold, members in groupby(sorted(folders, key=lambda folder: (fold_of(folder), folder.name)), key=fold_of):
            name = options.model.replace("{fold}", str(fold))
            model = load_chosen_model(options, name_or_path=name)
            weights[name] = hash_file(model.weights_path) if model.weights_path else None
            method = SessionMethod(InteractiveSession(model))
            for folder in members:
                progress.next_step(folder.name)
                results.append(evaluate_case(method, read_case(folder), protocol=protocol, on_mask=writer))
    return tuple(sorted(results, key=lambda result: result.case))


def write_summary(result: EvaluationResult) -> None:
    """Print the figures people ask for first."""
    clicks = [click for click in SHOWN_CLICKS if click <= result.protocol.clicks]
    rows = [
        [
            f"after click {click}",
            _mean(result.estimate_after(click, "dice")),
            _median(result.estimate_after(click, "dice"), digits=3),
            _mean(result.estimate_after(click, "surface_dice_4mm")),
            _median(result.estimate_after(click, "hd95_mm"), digits=1),
            _median(result.estimate_after(click, "volume_ratio"), digits=2),
        ]
        for click in clicks
    ]
    rows += [
        [
            name.replace("_", " "),
            _mean(result.estimate_of_baseline(name, "dice")),
            _median(result.estimate_of_baseline(name, "dice"), digits=3),
            _mean(result.estimate_of_baseline(name, "surface_dice_4mm")),
            _median(result.estimate_of_baseline(name, "hd95_mm"), digits=1),
            _median(result.estimate_of_baseline(name, "volume_ratio"), digits=2),
        ]
        for name in result.cases[0].baselines
    ]
    header = ["", "Dice, mean [95 %]", "median", "surface Dice 4 mm", "HD95 mm, median", "volume ratio"]
    write_table([f"{len(result.cases)} cases", *header[1:]], rows)
    write_line()
    for line in _closing_lines(result):
        write_line(line)


def _closing_lines(result: EvaluationResult) -> list[str]:
    lines = [f"area under Dice, clicks 1 to 5 (at most 4): {_mean(result.estimate_of_auc())}"]
    for dice in (0.80, 0.85):
        count = result.clicks_to(dice)
        lines.append(
            f"clicks to Dice {dice:.2f}: {count['mean_capped']:.1f} on average, {count['failed']} cases never reach it"
        )
    lowering = result.share_of_clicks_lowering_dice()
    if lowering is not None:
        lines.append(f"clicks that lower Dice by more than 0.02: {lowering:.0%}")
    lines.append(f"clicks obeyed: {result.share_of_clicks_obeyed():.0%}")
    for name, spread in result.seconds().items():
        if spread is not None:
            figures = f"median {spread['median']:.2f}, 95th percentile {spread['percentile_95']:.2f}"
            lines.append(f"seconds per {name.replace('_', ' ')}: {figures}")
    return lines


def _mean(estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    low, high = estimate.mean_interval
    return f"{estimate.mean:.3f} [{low:.3f}, {high:.3f}]"


def _median(estimate: Estimate | None, *, digits: int) -> str:
    return "-" if estimate is None else f"{estimate.median:.{digits}f}"


def _about(options: argparse.Namespace, weights: Mapping[str, str | None]) -> dict[str, Any]:
    from SegAnyPETLib.benchmark.machine import describe_machine, describe_software, peak_memory_mb

    return {
        "model": options.model,
        "weights_sha256": dict(weights),
        "folds": options.folds,
        "fold": "/".join(map(str, options.fold)) if options.fold else None,
        "software": describe_software(),
        "machine": describe_machine(),
        "peak_memory_mb": peak_memory_mb(),
    }


def _mask_writer(folder: Path) -> MaskWriter:
    """Write each mask on the grid of the whole case; what was cut away is background."""
    import numpy as np

    from SegAnyPETLib.data import write_mask_nifti

    def write(case: Case, kept: VoxelBox, click: int, mask: NDArray[np.bool_]) -> None:
        whole = np.zeros(case.reference.shape, dtype=bool)
        whole[kept.slices] = mask
        _make_folder(folder / case.name)
        write_mask_nifti(folder / case.name / f"click_{click:02d}.nii.gz", whole, grid=case.image.grid)

    return write


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"Cannot make the folder {folder}: {error.strerror}. Choose a folder you may write to."
        raise OutputError(msg) from error


def _parse_fold(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or not int(match[1]) < int(match[2]):
        msg = f"expected K/N with K from 0 to N - 1, for example 0/5; found {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return int(match[1]), int(match[2])

"""`seganypet evaluate`: how good a model is, with simulated clicks on cases that have a reference."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SegAnyPETLib.cli.case_runs import MODEL, describe_run, run_cases
from SegAnyPETLib.cli.console import STDOUT_NAME, write_error, write_json
from SegAnyPETLib.cli.evaluation_gallery import MaskKeeper, write_evaluation_gallery
from SegAnyPETLib.cli.evaluation_tables import write_robustness, write_summary
from SegAnyPETLib.cli.options import add_common, add_model, chosen_model
from SegAnyPETLib.errors import InputError, OutputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from SegAnyPETLib.evaluation import (
        Case,
        EvaluationResult,
        Shift,
    )
    from SegAnyPETLib.evaluation.protocol import MaskWriter
    from SegAnyPETLib.geometry import VoxelBox

EPILOG = (
    "DATA holds CASE/pet.nii.gz (SUV) and CASE/gtv.nii.gz. The first click goes to the voxel deepest inside the "
    "reference, each next one to the deepest voxel of the largest error. Cross-validation in one run: a model path "
    "with {fold} and --folds N; case numbers modulo N choose the weights that have not seen the case. A case that "
    "ends in an error is noted in the result, the others go on, and the exit code is that of the first error."
)
STANDARD = "standard"


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
    parser.add_argument(
        "--method",
        type=_parse_method,
        default=MODEL,
        metavar="NAME",
        help="a classical method with its own clicks instead of a model, for example nestle or random_walker",
    )
    parser.add_argument("--clicks", type=int, default=10, metavar="N", help="clicks per case (default 10)")
    parser.add_argument("--cases", metavar="A,B,C", help="only these cases; names or shell patterns such as 'A_*'")
    parser.add_argument("--fold", type=_parse_fold, metavar="K/N", help="only cases whose number modulo N is K")
    parser.add_argument("--folds", type=int, metavar="N", help="cross-validate: weights of each case's own fold")
    _add_variations(parser)
    parser.add_argument(
        "--cut-faces",
        type=float,
        default=0.0,
        metavar="MM",
        help="cut each face of each image by a random 0 to MM, never into the reference: crops give a lesion away",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="for cut faces, drawn first clicks, noise and the bootstrap"
    )
    parser.add_argument(
        "--save-masks", type=Path, metavar="DIR", help="write DIR/CASE/click_NN.nii.gz on the case's grid"
    )
    parser.add_argument(
        "--picture", type=Path, metavar="FILE.png", help="draw the best, median and worst case after clicks 1 and 5"
    )
    parser.add_argument("--picture-note", default="", metavar="TEXT", help="printed in the picture, as an attribution")
    add_common(parser, has_json_file=True)
    parser.set_defaults(run=run, usage_error=parser.error, default_of=parser.get_default)


def _add_variations(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--first-click",
        choices=("deepest", "random", "hottest", "jittered", "outside"),
        default="deepest",
        help="in the reference; jittered: --jitter MM from the deepest; outside: the voxel beside the border",
    )
    parser.add_argument("--jitter", type=float, default=5.0, metavar="MM", help="of a jittered first click (default 5)")
    parser.add_argument(
        "--repeats", type=int, metavar="N", help="draw a drawn first click N times, mean per case (default 1)"
    )
    parser.add_argument(
        "--shift",
        type=_parse_shift,
        metavar="KIND:AMOUNT",
        help="show the model the image of another scanner: blur:MM, noise:SD, voxel:MM or suv:FACTOR",
    )
    parser.add_argument(
        "--beside", choices=("classical",), help="give classical methods the same clicks and show their Dice"
    )
    parser.add_argument(
        "--robustness",
        action="store_true",
        help="all first clicks (drawn ones --repeats times, default 5) and all shifts, as one table",
    )


def run(options: argparse.Namespace) -> int:
    """Do what `seganypet evaluate` was asked to."""
    from SegAnyPETLib.evaluation import EvaluationProtocol, classical_methods, find_cases, robustness_protocols
    from SegAnyPETLib.report.drawing import require_png_name

    _check_usage(options)
    protocol = EvaluationProtocol(
        options.clicks,
        options.first_click,
        options.cut_faces,
        options.seed,
        options.jitter,
        1 if options.robustness else options.repeats or 1,
        options.shift,
    )
    names = [name.strip() for name in options.cases.split(",")] if options.cases else None
    if options.picture is not None:
        require_png_name(options.picture)  # before hours of work
    folders = find_cases(options.data, names=names, fold=options.fold)
    if options.save_masks is not None:
        _make_folder(options.save_masks)
    keeper = MaskKeeper() if options.picture is not None else None
    runs = run_cases(
        options,
        folders,
        robustness_protocols(protocol, repeats=options.repeats or 5) if options.robustness else {STANDARD: protocol},
        method=None if options.method == MODEL else classical_methods()[options.method],
        beside=classical_methods() if options.beside else None,
        on_mask=_mask_writer(options.save_masks, keeper),
    )
    evaluations = runs.evaluations()
    _write_result(options, evaluations, about=describe_run(options, runs.weights))
    if keeper is not None:
        write_evaluation_gallery(
            options.picture,
            evaluations[STANDARD],
            keeper,
            data=options.data,
            method=Path(options.model).name if options.method == MODEL else options.method,
            note=options.picture_note,
        )
    if runs.errors:
        write_error(f"{len(runs.errors)} runs ended in an error; they are in no figure.")
    return runs.exit_code


def _check_usage(options: argparse.Namespace) -> None:
    if options.method != MODEL:
        left_out = {name: options.default_of(name) for name in ("model", "folds", "device", "engine", "precision")}
        left_out["model"] = chosen_model(left_out["model"])  # as argparse has done with the default
        given = [f"--{name}" for name, value in left_out.items() if getattr(options, name) != value]
        if given:
            options.usage_error(f"--method {options.method} has no model; leave out {', '.join(given)}")
    if ("{fold}" in options.model) != (options.folds is not None):
        options.usage_error("--folds N and a --model path with {fold} go together")
    if options.robustness and (
        options.beside or options.save_masks or options.picture or options.shift or options.first_click != "deepest"
    ):
        options.usage_error(
            "--robustness chooses first clicks and shifts itself, and goes without --beside, masks and picture"
        )
    if options.picture_note and not options.picture:
        options.usage_error("--picture-note is printed in a picture; give --picture FILE.png too")
    if options.save_masks and (options.repeats or 1) > 1:
        options.usage_error("--save-masks goes with a single repeat")


def _write_result(
    options: argparse.Namespace, evaluations: Mapping[str, EvaluationResult], *, about: Mapping[str, Any]
) -> None:
    from SegAnyPETLib.evaluation import RobustnessResult

    if options.robustness:
        robustness = RobustnessResult(dict(evaluations))
        document = robustness.to_json_object(about=about)
    else:
        document = evaluations[STANDARD].to_json_object(about=about)
    if options.json:
        write_json(document, file=options.json)
    if options.json == STDOUT_NAME:
        return
    if options.robustness:
        write_robustness(robustness)
    else:
        write_summary(evaluations[STANDARD])


def _mask_writer(folder: Path | None, keeper: MaskKeeper | None) -> MaskWriter | None:
    """Write each mask to `folder`, give it to `keeper`, or both."""
    writers = [writer for writer in (_file_writer(folder) if folder else None, keeper) if writer is not None]

    def write(case: Case, kept: VoxelBox, click: int, mask: NDArray[np.bool_]) -> None:
        for writer in writers:
            writer(case, kept, click, mask)

    return write if writers else None


def _file_writer(folder: Path) -> MaskWriter:
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


def _parse_method(text: str) -> str:
    from SegAnyPETLib.evaluation import classical_methods

    names = (MODEL, *classical_methods())
    if text not in names:
        msg = f"expected one of {', '.join(names)}; found {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return text


def _parse_shift(text: str) -> Shift:
    from SegAnyPETLib.evaluation import Shift

    try:
        return Shift.parse(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error

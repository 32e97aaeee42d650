"""`seganypet demo`: a phantom study of known truth, from DICOM to masks, measures and pictures."""

from __future__ import annotations

import argparse
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from SegAnyPETLib.cli.console import Progress, write_json, write_line, write_table
from SegAnyPETLib.cli.exit_codes import ExitCode
from SegAnyPETLib.cli.options import add_common, add_model, load_chosen_model
from SegAnyPETLib.cli.outputs import Finding, parse_output, write_outputs
from SegAnyPETLib.cli.study import read_study
from SegAnyPETLib.errors import ModelError, OutputError

if TYPE_CHECKING:
    from SegAnyPETLib.phantom import PhantomObject
    from SegAnyPETLib.session import InteractiveSession
    from SegAnyPETLib.suv import LesionMeasures, SUVVolume

MOST_CLICKS = 3
GOOD_DICE = 0.85
NOISE_SEED = 7
SERIES_NAME = "PET"
OUTPUT_NAMES = ("lesions.dcm", "lesions.seg.nrrd", "lesions.nii.gz", "lesions.csv", "lesions.json", "lesions.png")


@dataclass(frozen=True)
class LesionResult:
    """One lesion of the phantom, segmented.

    Attributes:
        truth: The phantom's object.
        finding: The mask and where it was clicked first.
        dice: Agreement with the truth, 0 to 1.
    """

    truth: PhantomObject
    finding: Finding
    dice: float


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the subcommand to argparse."""
    parser = subparsers.add_parser(
        "demo",
        help="segment a phantom study, no patient data needed",
        description="A phantom study of known truth, from DICOM to masks, measures and pictures. "
        f"Each lesion is clicked in its middle, then up to {MOST_CLICKS - 1} times in its "
        f"largest error, until Dice reaches {GOOD_DICE}.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--out", type=Path, default=Path("demo-output"), metavar="DIR", help="folder for the results (demo-output)"
    )
    add_model(parser)
    add_common(parser)
    parser.set_defaults(run=run, usage_error=parser.error)


def run(options: argparse.Namespace) -> int:
    """Do what `seganypet demo` was asked to."""
    from SegAnyPETLib.phantom import Noise, body_phantom, write_phantom_series
    from SegAnyPETLib.session import InteractiveSession

    started = time.perf_counter()
    with Progress(14, unit="step", is_quiet=options.quiet) as progress:
        progress.next_step("loading the model")  # first, because this is what may fail
        model = load_chosen_model(options)
        session = InteractiveSession(model)
        progress.next_step("making the phantom")
        phantom = body_phantom(noise=Noise(NOISE_SEED))
        progress.next_step("writing DICOM")
        series_folder = write_phantom_series(phantom, _series_folder(options.out))
        progress.next_step("reading DICOM")
        study = read_study(series_folder)
        results = []
        for lesion in phantom.lesions:
            progress.next_step(lesion.name)
            results.append(segment_lesion(session, lesion, image=study.image))
        progress.next_step("writing results")
        outputs = [parse_output(str(options.out / name)) for name in OUTPUT_NAMES]
        found = [result for result in results if result.finding.mask.any()]
        if not found:
            msg = f"Expected lesions of the phantom; the model {model.spec.name} found none. Choose another model."
            raise ModelError(msg)
        measures = write_outputs(outputs, study, [result.finding for result in found], model=model.spec.name)
    seconds = time.perf_counter() - started
    difference = float(np.abs(study.image.array - phantom.activity_suv).max())
    measured = {result.truth.name: measure for result, measure in zip(found, measures, strict=True)}
    rows = [_row(result, measured.get(result.truth.name)) for result in results]
    if options.json:
        write_json(_json_object(options, rows, difference, seconds))
    else:
        _write_report(options, rows, difference, seconds)
    return ExitCode.DONE


def segment_lesion(session: InteractiveSession, lesion: PhantomObject, *, image: SUVVolume) -> LesionResult:
    """Click as a reader who knows the truth would: into the middle, then into the largest error."""
    from SegAnyPETLib.clicks import deepest_voxel, next_click
    from SegAnyPETLib.evaluation import SessionMethod, compute_dice

    method, spacing_kji_mm = SessionMethod(session), image.grid.spacing_kji_mm
    method.start(image)
    kji, positive = deepest_voxel(lesion.mask, spacing_kji_mm=spacing_kji_mm), True
    while True:
        mask, score = method.click(kji, positive=positive)
        dice = compute_dice(mask, lesion.mask)
        following = next_click(lesion.mask, mask, spacing_kji_mm=spacing_kji_mm)
        if following is None or dice >= GOOD_DICE or len(session.prompts) == MOST_CLICKS:
            break
        kji, positive = following
    return LesionResult(lesion, Finding(lesion.name, mask, session.prompts, score), dice)


def _series_folder(out: Path) -> Path:
    """Where the DICOM series goes; the one of an earlier demo is replaced, anything else is left alone."""
    folder = out / SERIES_NAME
    try:
        out.mkdir(parents=True, exist_ok=True)
        if folder.is_dir() and all(path.match("slice-*.dcm") for path in folder.iterdir()):
            shutil.rmtree(folder)
    except OSError as error:
        msg = f"Cannot use the folder {out}: {error.strerror}. Choose a folder you may write to."
        raise OutputError(msg) from error
    return folder


def _row(result: LesionResult, measures: LesionMeasures | None) -> dict[str, Any]:
    """One line of the table: truth beside what was measured."""
    return {
        "lesion": result.truth.name,
        "clicks": len(result.finding.prompts),
        "dice": result.dice,
        "true_volume_ml": result.truth.true_volume_ml,
        "volume_ml": None if measures is None else measures.volume_ml,
        "true_suv": result.truth.true_suv,
        "suv_mean": None if measures is None else measures.suv_mean,
        "suv_max": None if measures is None else measures.suv_max,
        "suv_peak": None if measures is None else measures.suv_peak,
    }


def _json_object(
    options: argparse.Namespace, rows: list[dict[str, Any]], difference_suv: float, seconds: float
) -> dict[str, Any]:
    return {
        "schema": "seganypet-demo/1",
        "model": options.model,
        "lesions": rows,
        "largest_suv_difference_after_dicom": difference_suv,
        "seconds": seconds,
        "outputs": [str(options.out / SERIES_NAME), *(str(options.out / name) for name in OUTPUT_NAMES)],
    }


def _write_report(
    options: argparse.Namespace, rows: list[dict[str, Any]], difference_suv: float, seconds: float
) -> None:
    header = ["lesion", "clicks", "Dice", "ml, true", "ml", "SUV, true", "SUVmean", "SUVmax", "SUVpeak"]
    cells = [
        [str(row["lesion"]), str(row["clicks"]), f"{row['dice']:.3f}", *(_cell(row[name]) for name in list(row)[3:])]
        for row in rows
    ]
    write_table(header, cells)
    write_line()
    write_line(
        f"mean Dice {np.mean([row['dice'] for row in rows]):.3f}; the true SUV is that before the scanner's blur"
    )
    write_line(f"largest difference of SUV after writing and reading DICOM: {difference_suv:.5f} g/ml")
    write_line(f"written to {options.out}: {', '.join((SERIES_NAME, *OUTPUT_NAMES))}")
    write_line(f"{seconds:.1f} s with the model {options.model}")


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"

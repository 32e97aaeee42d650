"""`seganypet segment`: prompts in, mask, measures and pictures out."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from SegAnyPETLib.cli.arguments import FRAMES, KINDS, box_to_lps, parse_box, parse_point, parse_stated, to_lps
from SegAnyPETLib.cli.console import Progress, write_json, write_line, write_table
from SegAnyPETLib.cli.exit_codes import ExitCode
from SegAnyPETLib.cli.options import add_common, add_model, load_chosen_model
from SegAnyPETLib.cli.outputs import Finding, parse_output, require_writable, write_outputs
from SegAnyPETLib.cli.study import Study, read_study
from SegAnyPETLib.errors import GeometryError, PromptError

if TYPE_CHECKING:
    from SegAnyPETLib.session import Box, Point, Prediction, SeedMask
    from SegAnyPETLib.suv import LesionMeasures, StatedValues

EXAMPLE = "example: seganypet segment study/PET --point -31.5,12,870 --point 4,12,870,- --out lesion.dcm lesion.csv"
STEPS = 5


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the subcommand to argparse."""
    parser = subparsers.add_parser(
        "segment",
        help="segment a lesion from clicks",
        description="Prompts in; mask, measures and pictures out.",
        epilog=EXAMPLE,
        allow_abbrev=False,
    )
    parser.add_argument("input", metavar="INPUT", help="folder or file of a PET DICOM series, or NIfTI or NRRD")
    parser.add_argument(
        "--point",
        nargs="+",
        action="extend",
        default=[],
        type=parse_point,
        metavar="X,Y,Z[,+|-]",
        help="a click: + (default) in the lesion, - outside it; as many as needed",
    )
    parser.add_argument("--box", type=parse_box, metavar="X1,Y1,Z1,X2,Y2,Z2", help="two opposite corners of a box")
    parser.add_argument("--seed", metavar="FILE", help="mask on the image's grid to start from (NIfTI or NRRD)")
    parser.add_argument(
        "--frame", choices=FRAMES, default="lps", help="of points and box: mm in LPS (default) or RAS, or voxel indices"
    )
    add_model(parser)
    parser.add_argument("--kind", choices=KINDS, default="bw", help="SUV normalizer (default bw)")
    parser.add_argument("--units", choices=("suv", "bqml"), help="of a NIfTI or NRRD file (default suv)")
    parser.add_argument("--suv-factor", type=float, metavar="F", help="SUV per Bq/ml, with --units bqml")
    parser.add_argument("--series", metavar="UID", help="Series Instance UID, where a folder holds several PET series")
    parser.add_argument(
        "--state",
        action="append",
        type=parse_stated,
        metavar="NAME=VALUE",
        help="a value to use instead of the DICOM header's, for example patient_weight_kg=72",
    )
    parser.add_argument("--label", default="Lesion", help="name of the segment (default Lesion)")
    parser.add_argument(
        "--out",
        nargs="+",
        action="extend",
        required=True,
        type=parse_output,
        metavar="FILE",
        help="results; the ending decides: .nii.gz .nii .seg.nrrd .dcm (DICOM SEG) .rtstruct.dcm (RT Structure Set) "
        ".csv .json (measures) .png",
    )
    add_common(parser)
    parser.set_defaults(run=run, usage_error=parser.error)


def run(options: argparse.Namespace) -> int:
    """Do what `seganypet segment` was asked to."""
    if not (options.point or options.box or options.seed):
        options.usage_error("at least one --point, --box or --seed is needed")
    started = time.perf_counter()
    with Progress(STEPS, unit="step", is_quiet=options.quiet) as progress:
        progress.next_step("reading")
        study = read_study(
            options.input,
            kind=options.kind,
            units=options.units,
            suv_factor=options.suv_factor,
            series_uid=options.series,
            stated=_stated_values(options),
        )
        require_writable(options.out, study)
        prompts = read_prompts(options, study)
        prediction, model_name = _predict(options, study, prompts, progress)
        progress.next_step("writing")
        finding = Finding(
            options.label, prediction.mask, tuple(prompts), prediction.score, prediction.volume_interval_ml
        )
        measures = write_outputs(options.out, study, [finding], model=model_name)
    seconds = time.perf_counter() - started
    if options.json:
        write_json(_json_object(options, study, prompts, prediction, measures[0], seconds))
    else:
        _write_report(options, measures[0], prediction, seconds)
    return ExitCode.DONE


def _stated_values(options: argparse.Namespace) -> StatedValues | None:
    from SegAnyPETLib.suv import StatedValues

    return StatedValues(**dict(options.state)) if options.state else None


def read_prompts(options: argparse.Namespace, study: Study) -> list[Point | Box | SeedMask]:
    """The prompts in the order a session wants them: seed, box, points.

    Raises:
        GeometryError: The seed lies on another grid.
    """
    from SegAnyPETLib.data import read_volume_file
    from SegAnyPETLib.session import Box, Point, SeedMask

    grid = study.image.grid
    prompts: list[Point | Box | SeedMask] = []
    if options.seed:
        values, seed_grid = read_volume_file(options.seed)
        if not seed_grid.is_close(grid, tolerance_mm=0.01):
            msg = (
                f"Expected the seed on the image's grid, shape {grid.shape_kji}; found shape {seed_grid.shape_kji} "
                f"with origin {seed_grid.origin_lps_mm} mm. Resample it first."
            )
            raise GeometryError(msg)
        prompts.append(SeedMask(values > 0.5))
    if options.box:
        prompts.append(Box(*box_to_lps(options.box, frame=options.frame, grid=grid)))
    prompts += [
        Point(lps_mm=to_lps(point.xyz, frame=options.frame, grid=grid), positive=point.positive)
        for point in options.point
    ]
    return prompts


def _predict(
    options: argparse.Namespace, study: Study, prompts: Sequence[Point | Box | SeedMask], progress: Progress
) -> tuple[Prediction, str]:
    """The prediction, and the model's name for the files: a path typed by the user may hold names of people."""
    from SegAnyPETLib.session import InteractiveSession

    progress.next_step("loading the model")
    model = load_chosen_model(options)
    session = InteractiveSession(model)
    session.set_image(study.image)
    for prompt in prompts:
        session.add(prompt)
    progress.next_step("predicting")
    prediction = session.predict()
    if not prediction.mask.any():
        msg = (
            "Expected a lesion at the prompts; the model found none, and nothing was written. Click into the middle of "
            "the lesion, or add a box."
        )
        raise PromptError(msg)
    return prediction, model.spec.name


def _json_object(
    options: argparse.Namespace,
    study: Study,
    prompts: Sequence[Point | Box | SeedMask],
    prediction: Prediction,
    measures: LesionMeasures,
    seconds: float,
) -> dict[str, Any]:
    grid = study.image.grid
    return {
        "schema": "seganypet-segment/1",
        "input": options.input,
        "model": options.model,
        "image": {"shape_kji": grid.shape_kji, "spacing_ijk_mm": grid.spacing_ijk_mm, "kind": study.image.kind},
        "prompts": [_prompt_object(prompt) for prompt in prompts],
        "score": prediction.score,
        "is_calibrated": prediction.is_calibrated,
        "volume_interval_ml": prediction.volume_interval_ml,
        "next_click_hint": asdict(prediction.next_click_hint) if prediction.next_click_hint else None,
        "notices": prediction.notices,
        "changed": asdict(prediction.changed),
        "measures": asdict(measures),
        "seconds": seconds,
        "outputs": [str(output.path) for output in options.out],
    }


def _prompt_object(prompt: Point | Box | SeedMask) -> dict[str, Any]:
    from SegAnyPETLib.session import Box, Point

    if isinstance(prompt, Point):
        return {"type": "point", "lps_mm": prompt.lps_mm, "positive": prompt.positive}
    if isinstance(prompt, Box):
        return {"type": "box", "lps_mm_min": prompt.lps_mm_min, "lps_mm_max": prompt.lps_mm_max}
    return {"type": "seed", "voxel_count": prompt.packed.voxel_count}


def _write_report(
    options: argparse.Namespace, measures: LesionMeasures, prediction: Prediction, seconds: float
) -> None:
    header = ["segment", "volume ml", "SUVmax", "SUVmean", "SUVpeak", "TLG", "confidence"]
    figures = (measures.volume_ml, measures.suv_max, measures.suv_mean, measures.suv_peak, measures.tlg)
    write_table(header, [[options.label, *(f"{figure:.2f}" for figure in (*figures, prediction.score))]])
    write_line()
    if prediction.volume_interval_ml is not None and prediction.calibration is not None:
        low, high = prediction.volume_interval_ml
        share = prediction.calibration.coverage
        write_line(f"expected Dice {prediction.score:.2f}; volume {low:.1f} to {high:.1f} ml ({share:.0%} interval)")
    write_line(f"SUV{measures.kind} in {measures.suv_unit}, TLG in {measures.tlg_unit}; {seconds:.1f} s")
    write_line(f"written: {', '.join(str(output.path) for output in options.out)}")

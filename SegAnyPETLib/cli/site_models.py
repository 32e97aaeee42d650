"""What `seganypet models` does with models that were fine-tuned here: compare, export, import, use."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SegAnyPETLib.cli.console import Progress, write_error, write_json, write_line, write_table
from SegAnyPETLib.cli.exit_codes import ExitCode
from SegAnyPETLib.cli.options import add_common
from SegAnyPETLib.errors import InputError, SegAnyPETError, SegAnyPETWarning

if TYPE_CHECKING:
    from SegAnyPETLib.finetune.comparing import Comparison, JudgedCase

CLICKS = (1, 3, 5)


def add_actions(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the actions to argparse."""
    _add_compare(actions)
    for name, run, text in (
        ("export", run_export, "write a fine-tuned model with its card to one file, for another machine"),
        ("import", run_import, "take a fine-tuned model from such a file"),
        ("use", run_use, "choose the model that is used where none is named"),
    ):
        action = actions.add_parser(name, help=text, description=text, allow_abbrev=False)
        if name != "import":
            action.add_argument("name", metavar="NAME", help="a name that `seganypet models list` shows")
        if name != "use":
            action.add_argument("file", type=Path, metavar="FILE", help="ends in .safetensors")
        if name == "import":
            action.add_argument("--name", metavar="NAME", help="to keep it under (default: the file's name)")
        add_common(action)
        action.set_defaults(run=run, usage_error=action.error)


def _add_compare(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Dice of two models after 1, 3 and 5 clicks on the same cases, with the interval of the difference"
    action = actions.add_parser("compare", help=text, description=text, allow_abbrev=False)
    action.add_argument("first", metavar="A", help="a model's name or weights file")
    action.add_argument("second", metavar="B", help="the one that is compared with it")
    action.add_argument(
        "--data", required=True, type=Path, metavar="DIR", help="folder of case folders, as for evaluate"
    )
    action.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:N or mps")
    add_common(action)
    action.set_defaults(run=run_compare, usage_error=action.error)


def run_compare(options: argparse.Namespace) -> int:
    """Compare two models on folders of cases."""
    from SegAnyPETLib.finetune.comparing import compare_models
    from SegAnyPETLib.model import load_model

    first, second = (load_model(name, device=options.device) for name in (options.first, options.second))
    cases, failed = _read_cases(options.data)
    with Progress(2 * len(cases), unit="case", is_quiet=options.quiet) as progress:
        comparison = compare_models(
            first, second, cases, clicks=CLICKS, on_case=lambda _: progress.next_step("clicking")
        )
    if options.json:
        write_json(_comparison_object(options, comparison, failed))
    else:
        _write_comparison(options, comparison)
    return ExitCode.INPUT if failed else ExitCode.DONE


def _read_cases(data: Path) -> tuple[list[JudgedCase], list[str]]:
    from SegAnyPETLib.evaluation import find_cases, read_case
    from SegAnyPETLib.finetune.comparing import JudgedCase, cut_around

    cases, failed = [], []
    for folder in find_cases(data):
        try:
            cases.append(JudgedCase(cut_around(read_case(folder)), folder.name))
        except SegAnyPETError as error:
            failed.append(folder.name)
            write_error(f"{folder.name}: {error}")
    if not cases:
        msg = f"Expected a case in {data} that can be read; found none."
        raise InputError(msg)
    return cases, failed


def _comparison_object(options: argparse.Namespace, comparison: Comparison, failed: list[str]) -> dict[str, Any]:
    names = {"schema": "seganypet-comparison/1", "first": options.first, "second": options.second}
    return {**names, **comparison.to_dict(), "failed": failed}


def _write_comparison(options: argparse.Namespace, comparison: Comparison) -> None:
    from SegAnyPETLib.finetune.comparing import row_text

    rows = [[f"{n} click{'s' * (n > 1)}", *row_text(comparison.after_click(n))] for n in comparison.clicks]
    rows.append(["mean of these", *row_text(comparison.overall())])
    first, second = Path(options.first).name, Path(options.second).name
    write_table(["Dice after", first, second, "gain [95 % interval]"], rows)
    write_line()
    write_line(f"{len(comparison.pairs)} cases; gain is {second} less {first}, case by case")


def run_export(options: argparse.Namespace) -> int:
    """Write a site model to one file."""
    from SegAnyPETLib.model import export_model

    path = export_model(options.name, options.file)
    if options.json:
        write_json({"name": options.name, "file": str(path), "size_bytes": path.stat().st_size})
    else:
        write_line(f"{options.name}: written to {path} ({path.stat().st_size / 1e6:.1f} MB). Whoever gets it needs")
        write_line("the same base model; the card inside has figures and settings, no images and no names of cases.")
    return ExitCode.DONE


def run_import(options: argparse.Namespace) -> int:
    """Take a site model from a file."""
    from SegAnyPETLib.model import import_model

    model = import_model(options.file, name=options.name)
    if options.json:
        write_json({"name": model.spec.name, "path": str(model.path), "sha256": model.spec.sha256})
    else:
        write_line(f"{model.spec.name}: imported. Measured elsewhere: compare it on your own cases before you use it.")
    return ExitCode.DONE


def run_use(options: argparse.Namespace) -> int:
    """Choose the default model."""
    from SegAnyPETLib.model import set_default_model

    before = set_default_model(options.name)
    decision = _decision_of(options.name)
    if decision and not decision.get("becomes_default"):
        msg = f"{options.name} was kept as a candidate by its card: {str(decision.get('reason'))[:400]}"
        warnings.warn(msg, SegAnyPETWarning, stacklevel=2)
    if options.json:
        write_json({"default": options.name, "before": before})
    else:
        write_line(f"{options.name} is the default now; it was {before}")
    return ExitCode.DONE


def _decision_of(name: str) -> dict[str, Any]:
    """What the card of a site model decided; empty for other models."""
    from SegAnyPETLib.model import is_site_model
    from SegAnyPETLib.model.site_models import read_card

    decision = read_card(name).get("decision") if is_site_model(name) else None
    return decision if isinstance(decision, dict) else {}

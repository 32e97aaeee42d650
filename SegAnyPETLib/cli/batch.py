"""`seganypet batch`: every study of a folder, an archive or a server, with nobody watching."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SegAnyPETLib.cli.arguments import KINDS
from SegAnyPETLib.cli.batch_progress import BatchBar
from SegAnyPETLib.cli.console import write_error, write_json, write_line, write_table
from SegAnyPETLib.cli.exit_codes import ExitCode
from SegAnyPETLib.cli.options import add_common, chosen_model
from SegAnyPETLib.errors import InputError

if TYPE_CHECKING:
    from SegAnyPETLib.batch.journal import JournalRow
    from SegAnyPETLib.batch.runner import RunSummary
    from SegAnyPETLib.batch.settings import BatchSettings
    from SegAnyPETLib.batch.study import FoundStudy

EXAMPLE = "example: seganypet batch /data/export --out results --candidates suv:4.0 --format seg,sr,png"
WORDS = ("pause", "run", "stop")
MOST_REASONS = 50  # in the table on the terminal; studies.csv holds all


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the subcommand to argparse."""
    parser = subparsers.add_parser(
        "batch",
        help="segment every study of a folder, an archive or a server",
        description="Finds studies, segments their lesions and writes results and tables. May be killed and resumed at "
        "any moment; running it again does only what is missing.",
        epilog=EXAMPLE,
        allow_abbrev=False,
    )
    parser.add_argument(
        "sources",
        nargs="*",
        metavar="SOURCE",
        help="folder, DICOM file, DICOMDIR, ZIP, list of paths (.txt, .csv), dicomweb+https://... or dimse://AET@host:port",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the run")
    _add_settings(parser)
    _add_conduct(parser)
    add_common(parser)
    parser.set_defaults(run=run, usage_error=parser.error)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    """What results depend on; None where nothing was said, so that a resumed run keeps its own."""
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--prompts", metavar="FILE", help="clicks, or masks to refine: a file, or a folder of them")
    chosen.add_argument(
        "--candidates", metavar="RULE", help="find foci by a rule: suv:4.0 (default), percent:41, percist"
    )
    parser.add_argument(
        "--model",
        type=chosen_model,
        metavar="NAME|PATH",
        help="model or weights file (default: what `seganypet models use` chose, lite at first)",
    )
    parser.add_argument("--device", help="auto (default), cpu, cuda, cuda:N or mps")
    parser.add_argument("--engine", choices=("torch", "openvino"), help="what runs the encoder (default torch)")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), help="default float32")
    parser.add_argument("--kind", choices=KINDS, help="SUV normalizer (default bw)")
    parser.add_argument(
        "--format", metavar="LIST", help="seg,sr,rtstruct,seg.nrrd,nifti,png (default all but seg.nrrd), with commas"
    )
    parser.add_argument(
        "--deidentify", action="store_true", default=None, help="DICOM results by the basic confidentiality profile"
    )
    parser.add_argument(
        "--show-uids", action="store_true", default=None, help="journal, tables and log may hold study UIDs"
    )


def _add_conduct(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scheduler",
        default="auto",
        metavar="WHERE",
        help="auto (default), none for one process, local for workers here, or a Dask scheduler such as tcp://host:8786",
    )
    parser.add_argument("--workers", type=int, metavar="N", help="how many worker processes, with --scheduler local")
    parser.add_argument(
        "--series",
        action="append",
        default=[],
        metavar="UID",
        help="a series to use where the rules leave a doubt: its UID, or the digits that the doubt shows",
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out; its settings and sources")
    parser.add_argument("--redo", action="store_true", help="do every study anew, with other settings if given")
    parser.add_argument("--dry-run", action="store_true", help="list the studies and what would be done; write nothing")
    parser.add_argument("--ask", choices=WORDS, help="ask the process that works on --out to pause, run or stop")


def run(options: argparse.Namespace) -> int:
    """Do what `seganypet batch` was asked to."""
    if options.ask:
        return _ask(options)
    if options.workers is not None and (options.workers < 1 or options.scheduler not in ("auto", "local")):
        options.usage_error("--workers is a number from 1, with --scheduler local")
    if not options.sources and not options.resume:
        options.usage_error("at least one SOURCE is needed, or --resume")
    settings = chosen_settings(options)
    if options.dry_run:
        return _dry_run(options, settings)
    return _work(options, settings)


def _work(options: argparse.Namespace, settings: BatchSettings) -> int:
    from SegAnyPETLib.batch.runner import run_batch

    with BatchBar(is_quiet=options.quiet) as bar:
        summary = run_batch(
            options.sources,
            out=options.out,
            settings=settings,
            scheduler="local" if options.workers and options.scheduler == "auto" else options.scheduler,
            workers=options.workers,
            chosen_series=options.series,
            must_exist=options.resume,
            redo=options.redo,
            on_progress=bar.show,
            on_message=write_error,
        )
    if options.json:
        write_json(_json_object(options, settings, summary))
    else:
        write_summary(summary, out=options.out)
    return exit_code(summary)


def chosen_settings(options: argparse.Namespace) -> BatchSettings:
    """Those that were typed, on top of those the run was begun with where it is resumed.

    Raises:
        InputError: A format or a rule is unknown, or there is no run to resume.
        ModelError: The chosen default model is not here any more.
    """
    from SegAnyPETLib.batch.journal import Journal
    from SegAnyPETLib.batch.prompting import parse_candidate_rule
    from SegAnyPETLib.batch.run_folder import JOURNAL_NAME
    from SegAnyPETLib.batch.settings import BatchSettings
    from SegAnyPETLib.model import default_model

    typed: dict[str, Any] = {  # of the types of the fields
        "prompts": str(Path(options.prompts).absolute()) if options.prompts else None,
        "candidates": options.candidates,
        "model": options.model,
        "device": options.device,
        "engine": options.engine,
        "precision": options.precision,
        "kind": options.kind,
        "formats": tuple(name.strip() for name in options.format.split(",")) if options.format else None,
        "is_deidentified": options.deidentify,
        "shows_uids": options.show_uids,
    }
    if options.resume:
        journal = Journal.open(options.out / JOURNAL_NAME, read_only=True)
        before = journal.run().settings
        journal.close()
    else:
        before = BatchSettings(model=options.model or default_model())
    settings = replace(before, **{name: value for name, value in typed.items() if value is not None})
    if settings.prompts is None:
        parse_candidate_rule(settings.candidates)
    elif not Path(settings.prompts).exists():
        msg = f"Expected prompts at {settings.prompts}; found nothing there. Check the path."
        raise InputError(msg)
    return settings


def _ask(options: argparse.Namespace) -> int:
    from SegAnyPETLib.batch.journal import Journal
    from SegAnyPETLib.batch.run_folder import JOURNAL_NAME

    journal = Journal.open(options.out / JOURNAL_NAME, read_only=True)
    driver = journal.driver()
    if not driver.is_alive:
        msg = f"Expected a process that works on {options.out}; found none. Begin again with --resume."
        raise InputError(msg)
    journal.ask(options.ask)
    write_line(f"asked process {driver.pid} on {driver.host} to {options.ask}")
    return ExitCode.DONE


def _dry_run(options: argparse.Namespace, settings: BatchSettings) -> int:
    import tempfile

    from SegAnyPETLib.batch.finding import search_sources
    from SegAnyPETLib.batch.journal import Journal
    from SegAnyPETLib.batch.run_folder import JOURNAL_NAME

    states: dict[str, str] = {}
    chosen: list[str] = [*options.series]
    sources: Sequence[str] = options.sources
    if (options.out / JOURNAL_NAME).is_file():
        journal = Journal.open(options.out / JOURNAL_NAME, read_only=True)
        states = {row.key: row.state for row in journal.rows()}
        sources = sources or journal.run().sources
        chosen += journal.run().chosen_series
        journal.close()
    with tempfile.TemporaryDirectory(prefix="seganypet-") as workspace:  # only its owner may read it
        found = search_sources(sources, workspace=Path(workspace), chosen_series=chosen)
    if options.json:
        studies = [_study_object(study, states) for study in found.studies]
        facts = {"schema": "seganypet-batch-plan/1", "settings": settings.to_dict()}
        write_json({**facts, "aside": dict(found.aside), "studies": studies})
        return ExitCode.DONE
    rows = [
        [study.key, plan(study, states), study.choice if study.pet else "", study.source] for study in found.studies
    ]
    write_table(["study", "plan", "series", "where"], rows)
    write_line()
    how = f"prompts of {settings.prompts}" if settings.prompts else f"candidates {settings.candidates}"
    write_line(f"{found}; {how}; model {settings.model}; writing {', '.join(settings.formats)}")
    return ExitCode.DONE


def plan(study: FoundStudy, states: dict[str, str]) -> str:
    """What a run would do with a study."""
    if study.problems or study.pet is None:
        return f"skip: {' '.join(study.problems)}"
    if study.doubts:
        return f"leave to a person: {' '.join(study.doubts)}"
    return "nothing, it is done" if states.get(study.key) == "done" else "segment"


def _study_object(study: FoundStudy, states: dict[str, str]) -> dict[str, object]:
    return {
        "key": study.key,
        "patient_key": study.patient_key,
        "source": study.source,
        "plan": plan(study, states),
        "choice": study.choice,
        "doubts": study.doubts,
        "problems": study.problems,
        "has_ct": study.ct is not None,
    }


def exit_code(summary: RunSummary) -> ExitCode:
    """What a script is told: done, interrupted, or that some studies were not done."""
    if summary.was_interrupted:
        return ExitCode.INTERRUPTED
    return ExitCode.DONE if set(summary.counts) <= {"done"} else ExitCode.INCOMPLETE


def write_summary(summary: RunSummary, *, out: Path) -> None:
    """Print how many studies came to which end, and why those failed that did."""
    write_table(["outcome", "studies"], [[state, str(number)] for state, number in sorted(summary.counts.items())])
    reasons = [row for row in summary.rows if row.reason]
    if reasons:
        write_line()
        write_table(["study", "outcome", "why"], [[row.key, row.state, row.reason] for row in reasons[:MOST_REASONS]])
        if len(reasons) > MOST_REASONS:
            write_line(f"... and {len(reasons) - MOST_REASONS} more")
    write_line()
    lesions = sum(row.lesions or 0 for row in summary.rows)
    write_line(f"{lesions} lesions; studies ended now: {summary.done_now}, in {summary.seconds:.1f} s; tables: {out}")
    if summary.was_stopped:
        write_line("stopped; go on with --resume")


def _json_object(options: argparse.Namespace, settings: BatchSettings, summary: RunSummary) -> dict[str, object]:
    return {
        "schema": "seganypet-batch/1",
        "out": str(options.out),
        "settings": settings.to_dict(),
        "counts": dict(summary.counts),
        "was_stopped": summary.was_stopped,
        "seconds": summary.seconds,
        "studies": [_row_object(row) for row in summary.rows],
    }


def _row_object(row: JournalRow) -> dict[str, object]:
    return {
        "key": row.key,
        "state": row.state,
        "reason": row.reason,
        "kind": row.kind,
        "attempts": row.attempts,
        "lesions": row.lesions,
        "seconds": row.seconds,
        "files": dict(row.output_hashes),
        "study_instance_uid": row.study_instance_uid,
    }

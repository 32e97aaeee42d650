"""`seganypet cohort`: find a site's own cases for fine-tuning, and check them before they are used."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from SegAnyPETLib.cli.console import Progress, write_error, write_json, write_line, write_table
from SegAnyPETLib.cli.exit_codes import ExitCode
from SegAnyPETLib.cli.options import add_common, load_chosen_model
from SegAnyPETLib.errors import OutputError

if TYPE_CHECKING:
    from SegAnyPETLib.finetune.cohort import CohortCase, CohortEntry, Finding, Manifest, Thumbnail

SCHEMA = "seganypet-cohort-check/1"
CHECK_EPILOG = (
    "MANIFEST is a CSV with the columns case, patient, image, label, quality (HQ or LQ) and split (train, validation "
    "or test); paths are relative to it. Nothing beside the cases is changed. The exit code is 3 where there is an "
    "error among the findings, 0 where there are only warnings and notes."
)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the subcommand to argparse."""
    parser = subparsers.add_parser(
        "cohort",
        help="find and check a site's own cases for fine-tuning",
        description="The list of a site's own cases for fine-tuning: propose it, check it.",
        allow_abbrev=False,
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    _add_propose(actions)
    _add_check(actions)


def _add_propose(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "find cases in a folder and write their manifest, with splits by patient"
    action = actions.add_parser("propose", help=text, description=text, allow_abbrev=False)
    action.add_argument("folder", type=Path, metavar="FOLDER", help="searched with all folders below; never changed")
    action.add_argument("--out", required=True, type=Path, metavar="FILE.csv", help="the manifest; must not exist yet")
    action.add_argument(
        "--images",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="where the DICOM PET of batch results lies; may be given several times",
    )
    action.add_argument("--quality", choices=("HQ", "LQ"), default="HQ", help="of labels that do not say (default HQ)")
    action.add_argument("--validation", type=float, default=0.2, metavar="SHARE", help="of the patients (default 0.2)")
    action.add_argument("--test", type=float, default=0.0, metavar="SHARE", help="of the patients (default 0)")
    action.add_argument("--seed", type=int, default=0, help="of the splits")
    add_common(action)
    action.set_defaults(run=run_propose, usage_error=action.error)


def _add_check(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "open every case and say what is wrong with it"
    action = actions.add_parser("check", help=text, description=text, epilog=CHECK_EPILOG, allow_abbrev=False)
    action.add_argument("manifest", type=Path, metavar="MANIFEST", help="CSV, as `seganypet cohort propose` writes it")
    action.add_argument(
        "--thumbnails", type=Path, metavar="DIR", help="write pages of pictures with the labels' contours"
    )
    action.add_argument(
        "--model", metavar="NAME|PATH", help="also compare each label with what this model finds after one click"
    )
    add_common(action)
    action.set_defaults(run=run_check, usage_error=action.error, device="auto", engine="torch", precision="float32")


def run_propose(options: argparse.Namespace) -> int:
    """Write the manifest of what is in a folder."""
    from SegAnyPETLib.finetune.cohort import propose_manifest, write_manifest

    if min(options.validation, options.test) < 0 or options.validation + options.test >= 1:
        options.usage_error("--validation and --test are shares of at least 0 that together stay below 1")
    if options.out.exists():
        msg = f"{options.out} exists, and may hold corrections by hand. Give another name, or remove it."
        raise OutputError(msg)
    manifest = propose_manifest(
        options.folder,
        images=options.images,
        quality=options.quality,
        seed=options.seed,
        validation_share=options.validation,
        test_share=options.test,
    )
    write_manifest(manifest, options.out)
    if options.json:
        write_json({"manifest": str(options.out), "cases": len(manifest.entries), "notes": list(manifest.notes)})
        return ExitCode.DONE
    _write_splits(manifest)
    for note in manifest.notes:
        write_line(note)
    write_line(f"Written to {options.out}. Look at it, then: seganypet cohort check {options.out}")
    return ExitCode.DONE


def run_check(options: argparse.Namespace) -> int:
    """Check the cases of a manifest, and draw them where asked to."""
    from SegAnyPETLib.finetune.cohort import check_cohort, make_thumbnail, read_manifest, write_thumbnails

    manifest = read_manifest(options.manifest)
    model = load_chosen_model(options) if options.model else None
    thumbnails: list[Thumbnail] = []
    with Progress(len(manifest.entries), unit="case", is_quiet=options.quiet) as progress:

        def note(entry: CohortEntry, case: CohortCase | None, findings: list[Finding]) -> None:
            progress.next_step(entry.case)
            if options.thumbnails:
                thumbnails.append(make_thumbnail(entry, case, findings))

        findings = check_cohort(manifest, model=model, on_case=note)
    pages = write_thumbnails(options.thumbnails, thumbnails) if options.thumbnails else ()
    counts = Counter(finding.severity for finding in findings)
    if options.json:
        write_json(
            {
                "schema": SCHEMA,
                "cases": len(manifest.entries),
                "findings": [finding.to_dict() for finding in findings],
                "thumbnails": [str(page) for page in pages],
            }
        )
    else:
        _write_findings(manifest, findings)
        for page in pages:
            write_line(f"Pictures: {page}")
    if counts["error"]:
        write_error(f"{counts['error']} errors were found; correct them before training.")
        return ExitCode.INPUT
    return ExitCode.DONE


def _write_splits(manifest: Manifest) -> None:
    rows = []
    for split in ("train", "validation", "test"):
        own = [entry for entry in manifest.entries if entry.split == split]
        careful = sum(entry.quality == "HQ" for entry in own)
        patients = len({entry.patient for entry in own})
        rows.append([split, str(patients), str(careful), str(len(own) - careful)])
    write_table(["split", "patients", "HQ cases", "LQ cases"], rows)


def _write_findings(manifest: Manifest, findings: Sequence[Finding]) -> None:
    _write_splits(manifest)
    write_line()
    for finding in findings:
        write_line(str(finding))
    counts = Counter(finding.severity for finding in findings)
    total = (
        f"{len(manifest.entries)} cases: {counts['error']} errors, {counts['warning']} warnings, {counts['note']} notes"
    )
    write_line(total if findings else f"{len(manifest.entries)} cases: nothing was found that speaks against them")

"""`seganypet finetune`: a model that learned from a site's own cases, with a card that says what that was worth."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from SegAnyPETLib.cli.console import write_error, write_json, write_line, write_table
from SegAnyPETLib.cli.exit_codes import ExitCode
from SegAnyPETLib.cli.options import add_common

if TYPE_CHECKING:
    from SegAnyPETLib.finetune.distributed import Processes
    from SegAnyPETLib.finetune.run_progress import ProgressLine
    from SegAnyPETLib.finetune.site_run import OpenRun
    from SegAnyPETLib.finetune.site_training import FinishedRun

EXAMPLE = "example: seganypet finetune --cohort cohort.csv --base lite --method cpcl --out run --preset quick"
METHODS = ("cpcl", "plain", "hq")
PARTS = ("decoder", "lora", "full")
PRESETS = ("quick", "balanced", "thorough")
WISHES = ("pause", "run", "stop")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the subcommand to argparse."""
    parser = subparsers.add_parser(
        "finetune",
        help="fine-tune a model on your own labelled cases",
        description="Checks the cohort, trains, compares before and after, and keeps the new model with a card. It "
        "becomes the default only where it is better by its interval and forgot little. May be killed and resumed.",
        epilog=EXAMPLE,
        allow_abbrev=False,
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the run")
    parser.add_argument("--cohort", type=Path, metavar="MANIFEST", help="table of the cases (CSV)")
    parser.add_argument("--base", default=None, metavar="MODEL", help="model to begin with (default lite)")
    parser.add_argument(
        "--method",
        choices=METHODS,
        help="cpcl repairs careless labels, plain learns them as they are, hq learns from careful ones alone (default: "
        "what suits the cohort)",
    )
    parser.add_argument("--preset", choices=PRESETS, help="how much time to take (default balanced)")
    parser.add_argument("--parts", choices=PARTS, help="what learns (default: what suits the cohort)")
    parser.add_argument("--steps", type=int, metavar="N", help="optimizer steps (default: the preset's)")
    parser.add_argument("--seed", type=int, metavar="N", help="decides all draws (default 1)")
    parser.add_argument("--device", help="auto (default), cpu, cuda, cuda:N or mps")
    parser.add_argument("--name", metavar="NAME", help="of the new model (default: from base, method and cohort)")
    parser.add_argument(
        "--keep-default", action="store_true", help="leave the default model as it is, however good the new one is"
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out, with its settings")
    parser.add_argument("--ask", choices=WISHES, help="ask the run in --out to pause, run or stop, and keep the best")
    add_common(parser)
    parser.set_defaults(run=run, usage_error=parser.error)


def run(options: argparse.Namespace) -> int:
    """Do what `seganypet finetune` was asked to."""
    settings = ("cohort", "base", "method", "preset", "parts", "steps", "seed", "device", "name")
    given = [f"--{name}" for name in settings if getattr(options, name) is not None]
    if (options.resume or options.ask) and (given or (options.resume and options.ask)):
        options.usage_error(f"a run keeps the settings it was begun with; leave out {', '.join(given) or '--ask'}")
    if options.ask:
        return _ask(options)
    if not options.resume and options.cohort is None:
        options.usage_error("--cohort MANIFEST is needed, or --resume")
    if options.steps is not None and options.steps < 1:
        options.usage_error("--steps is a number from 1")
    finished = _work(options)
    if finished is None:
        return ExitCode.DONE  # the first process says what there is to say
    if options.json:
        write_json({"name": finished.name, "weights": str(finished.weights), "card": finished.card.to_dict()})
    else:
        _write_report(finished, options.out)
    return ExitCode.DONE


def _work(options: argparse.Namespace) -> FinishedRun | None:
    from SegAnyPETLib.finetune.distributed import joined_processes
    from SegAnyPETLib.finetune.heartbeat import working_alone
    from SegAnyPETLib.finetune.site_run import RunPlan
    from SegAnyPETLib.finetune.site_training import train_run

    device = RunPlan.read(options.out).device if options.resume else options.device or "auto"
    with ExitStack() as stack:
        processes = stack.enter_context(joined_processes(device=device))
        bar = stack.enter_context(_Bar(is_quiet=options.quiet or not processes.writes))
        with processes.all_or_none():
            if processes.writes:
                stack.enter_context(working_alone(options.out))
            opened = _open(options, bar, processes)
        return train_run(opened)


def _open(options: argparse.Namespace, bar: _Bar, processes: Processes) -> OpenRun:
    from SegAnyPETLib.finetune.site_run import RunRequest, begin_run, reopen_run

    if options.resume:
        return reopen_run(options.out, listener=bar.show, processes=processes)
    request = RunRequest(
        manifest=options.cohort,
        base=options.base or "lite",
        preset=options.preset or "balanced",
        method=options.method,
        parts=options.parts,
        steps=options.steps,
        device=options.device or "auto",
        seed=1 if options.seed is None else options.seed,
        name=options.name or "",
        may_become_default=not options.keep_default,
    )
    return begin_run(request, options.out, listener=bar.show, processes=processes)


def _ask(options: argparse.Namespace) -> int:
    from SegAnyPETLib.finetune.run_progress import write_wish
    from SegAnyPETLib.finetune.site_run import RunPlan

    RunPlan.read(options.out)  # an error where there is no run
    write_wish(options.out, options.ask)
    write_line(f"asked the run in {options.out} to {options.ask}; it looks between two steps")
    return ExitCode.DONE


class _Bar:
    """Progress on stderr: what is said in lines, steps as a bar with the time left."""

    def __init__(self, *, is_quiet: bool) -> None:
        from tqdm import tqdm

        form = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} steps{postfix}"
        self._is_quiet = is_quiet
        self._bar = tqdm(total=None, disable=is_quiet, leave=False, bar_format=form)

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def show(self, line: ProgressLine) -> None:
        """Show where the run is."""
        if self._is_quiet:
            return
        if line.message:
            write_error(line.message)
        facts = [f"loss {line.loss:.3f}"] if line.loss is not None else []
        if line.validation_dice is not None:
            facts.append(f"validation {line.validation_dice:.3f}")
        if line.offset_mm is not None:
            facts.append(f"careless labels {line.offset_mm:+.1f} mm")
        if line.seconds_left is not None:
            facts.append(f"{line.seconds_left / 60:.0f} min left")
        self._bar.total = line.steps or None
        self._bar.n = line.step
        self._bar.set_description_str(line.phase, refresh=False)
        self._bar.set_postfix_str(", ".join(facts))


def _write_report(finished: FinishedRun, out: Path) -> None:
    from SegAnyPETLib.finetune.comparing import row_text

    card = finished.card
    rows = []
    if card.site is not None:
        rows += [
            [f"validation, {n} click{'s' * (n > 1)}", *row_text(card.site.after_click(n))] for n in card.site.clicks
        ]
        rows.append(["validation, mean", *row_text(card.site.overall())])
    rows.append(["bundled cases, mean", *row_text(card.bundled.overall())])
    write_table(["Dice", "before", "after", "gain [95 % interval]"], rows)
    write_line()
    write_line(card.decision.reason)
    if card.decision.caution:
        write_line(card.decision.caution)
    if card.labels is not None and card.labels.please_review:
        write_line(f"please review: {', '.join(card.labels.please_review)}")
    write_line(f"model {finished.name}; its card: {out / 'card.md'}")

"""`seganypet bench`: how fast this machine is, and how much memory it takes."""

from __future__ import annotations

import argparse
from typing import Any

from SegAnyPETLib.cli.console import STDOUT_NAME, Progress, write_json, write_line, write_table
from SegAnyPETLib.cli.exit_codes import ExitCode
from SegAnyPETLib.cli.options import add_common

COLUMNS = ("encode_s", "first_click_s", "next_click_s", "session_s", "peak_memory_mb")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the subcommand to argparse."""
    parser = subparsers.add_parser(
        "bench",
        help="measure speed and memory",
        description="How fast this machine is, and how much memory it takes; nothing is downloaded. It takes minutes.",
        allow_abbrev=False,
    )
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="per figure; the median counts (default 5)")
    add_common(parser, has_json_file=True)
    parser.set_defaults(run=run, usage_error=parser.error)


def run(options: argparse.Namespace) -> int:
    """Do what `seganypet bench` was asked to."""
    from SegAnyPETLib.benchmark.bench import MEASUREMENT_NAMES, run_benchmark

    with Progress(len(MEASUREMENT_NAMES), unit="part", is_quiet=options.quiet) as progress:
        result = run_benchmark(repeats=options.repeats, on_start=progress.next_step)
    if options.json:
        write_json(result, file=options.json)
    if options.json != STDOUT_NAME:
        write_result(result)
    return ExitCode.DONE


def write_result(result: dict[str, Any]) -> None:
    """Print the figures as a table."""
    rows = [[name, *(_cell(figures.get(column)) for column in COLUMNS)] for name, figures in result["measured"].items()]
    write_table(["median of repeats", *(column.replace("_", " ") for column in COLUMNS)], rows)
    write_line()
    for name, ratio in result["ratios"].items():
        write_line(f"{name}: {'not measured' if ratio is None else f'{ratio:.3g}'}")


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}"

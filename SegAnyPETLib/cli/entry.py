"""Parsing, dispatch, and the one place where errors become a line and an exit code."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence

from SegAnyPETLib.cli import batch, bench, calibrate, cohort, demo, evaluate, finetune, models, segment
from SegAnyPETLib.cli.arguments import protect_negative_coordinates
from SegAnyPETLib.cli.console import shown_warnings, write_error
from SegAnyPETLib.cli.exit_codes import ExitCode, exit_code_of
from SegAnyPETLib.errors import SegAnyPETError
from SegAnyPETLib.version import __version__

SUBCOMMANDS = (demo, segment, batch, evaluate, calibrate, cohort, finetune, models, bench)
EPILOG = (
    "exit codes: 0 done, 1 unexpected failure, 2 wrong usage, 3 input, 4 prompt, 5 model, 6 output, "
    "7 something must be installed, 8 memory, 9 some studies of a batch not done, "
    "130 interrupted. For research only; not a medical device."
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run `seganypet`.

    Args:
        argv: Arguments without the program's name; those of the process where None.

    Returns:
        The exit code (see `exit_codes`). Wrong usage leaves through SystemExit(2), as argparse does.
    """
    arguments = sys.argv[1:] if argv is None else argv
    options = build_parser().parse_args(protect_negative_coordinates(arguments))
    try:
        with shown_warnings(is_debug=options.debug):
            return int(options.run(options))
    except SegAnyPETError as error:
        return _report(str(error), exit_code_of(error), is_debug=options.debug)
    except MemoryError:
        text = "not enough memory. Close other programs, or crop the image around the lesion."
        return _report(text, ExitCode.MEMORY, is_debug=options.debug)
    except KeyboardInterrupt:
        return _report("interrupted; nothing was left half-written.", ExitCode.INTERRUPTED, is_debug=options.debug)
    except BrokenPipeError:
        # The reader of our output went away (for example `head`): Python must not try to flush to it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OUTPUT


def build_parser() -> argparse.ArgumentParser:
    """The whole command line; a test holds the documents against it."""
    parser = argparse.ArgumentParser(
        prog="seganypet",
        description="Click a lesion in a PET, get its 3D mask and SUV measures.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"seganypet {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for subcommand in SUBCOMMANDS:
        subcommand.add_parser(subparsers)
    return parser


def _report(text: str, code: ExitCode, *, is_debug: bool) -> ExitCode:
    if is_debug:
        traceback.print_exc()
    write_error(text)
    return code

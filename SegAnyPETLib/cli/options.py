"""Options that several subcommands share, so that they are called the same everywhere."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from SegAnyPETLib.errors import ModelError

if TYPE_CHECKING:
    from SegAnyPETLib.model import Model


def add_common(parser: argparse.ArgumentParser, *, has_json_file: bool = False) -> None:
    """Add --json, --quiet and --debug.

    Args:
        parser: Of the subcommand.
        has_json_file: --json takes a file name ("-" is stdout) instead of being a switch for stdout.
    """
    if has_json_file:
        parser.add_argument("--json", metavar="FILE", help="write the result as JSON; - is stdout, without the table")
    else:
        parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error, and all warnings")


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add --model, --device, --engine and --precision."""
    parser.add_argument(
        "--model",
        default="default",
        type=chosen_model,
        metavar="NAME|PATH",
        help="model or weights file (default: what `seganypet models use` chose, lite at first)",
    )
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:N or mps")
    parser.add_argument("--engine", choices=("torch", "openvino"), default="torch", help="what runs the encoder")
    parser.add_argument(
        "--precision",
        choices=("float32", "bfloat16"),
        default="float32",
        help="bfloat16 is faster on processors that have it",
    )


def chosen_model(text: str) -> str:
    """The model as typed; `default` stands for the one that was chosen."""
    from SegAnyPETLib.model import default_model
    from SegAnyPETLib.model.site_models import DEFAULT_WORD

    try:
        return default_model() if text == DEFAULT_WORD else text
    except ModelError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def load_chosen_model(options: argparse.Namespace, *, name_or_path: str | None = None) -> Model:
    """Load what `add_model` asked for, or other weights with the same device and engine."""
    from SegAnyPETLib.model import load_model

    return load_model(
        name_or_path or options.model, device=options.device, engine=options.engine, precision=options.precision
    )

"""`seganypet models`: which models there are, and getting, checking and removing their weights.

What concerns fine-tuned models alone is in `site_models`.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from SegAnyPETLib.cli.console import DownloadProgress, write_json, write_line, write_table
from SegAnyPETLib.cli.exit_codes import ExitCode
from SegAnyPETLib.cli.options import add_common
from SegAnyPETLib.cli.site_models import add_actions
from SegAnyPETLib.errors import ConsentError, ModelError

if TYPE_CHECKING:
    from SegAnyPETLib.model import InstalledModel


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the subcommand to argparse."""
    parser = subparsers.add_parser(
        "models",
        help="list, get, compare, exchange or remove models",
        description="Which models there are; get, check and remove their weights; compare, exchange and choose them.",
        allow_abbrev=False,
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    for name, run, text in (
        ("list", run_list, "models by name, and whether their weights are here"),
        ("download", run_download, "get weights from the Hugging Face hub, after you agreed to their licence"),
        ("verify", run_verify, "compare the weights with the hash that is known for them"),
        ("remove", run_remove, "delete downloaded weights, or a fine-tuned model"),
    ):
        action = actions.add_parser(name, help=text, description=text, allow_abbrev=False)
        if name != "list":
            action.add_argument("name", metavar="NAME", help="a name that `seganypet models list` shows")
        if name == "download":
            action.add_argument("--yes", action="store_true", help="agree to source and licence without being asked")
            action.add_argument("--endpoint", metavar="URL", help="a mirror of the hub")
            action.add_argument("--login", action="store_true", help="send the token stored by `hf auth login`")
        add_common(action)
        action.set_defaults(run=run, usage_error=action.error)
    add_actions(actions)


def run_list(options: argparse.Namespace) -> int:
    """Show every registered model and every fine-tuned one."""
    from SegAnyPETLib.model import default_model, list_models

    models, default = list_models(), ""
    with suppress(ModelError):  # a choice that leads nowhere must not hide the list that helps to choose again
        default = default_model()
    if options.json:
        objects = [_model_object(model) | {"is_default": model.spec.name == default} for model in models]
        write_json({"models": objects})
        return ExitCode.DONE
    rows = [
        [
            f"{model.spec.name}{' (default)' * (model.spec.name == default)}",
            model.origin,
            _size(model),
            model.spec.title,
        ]
        for model in models
    ]
    write_table(["name", "weights", "size", "title"], rows)
    write_line()
    for model in models:
        write_line(f"{model.spec.name}: licence {model.spec.licence}")
    return ExitCode.DONE


def run_download(options: argparse.Namespace) -> int:
    """Get a model's weights, once the user agreed to their licence."""
    from SegAnyPETLib.model import download_model, find_model
    from SegAnyPETLib.model.download import HUB, consent_text

    endpoint = options.endpoint or HUB
    spec = find_model(options.name).spec
    agreed = options.yes
    if not agreed and sys.stdin.isatty():
        agreed = _ask_consent(consent_text(spec, endpoint=endpoint))
    with DownloadProgress(is_quiet=options.quiet) as progress:
        model = download_model(
            options.name, consent=agreed, endpoint=endpoint, token=options.login, on_progress=progress.show
        )
    _show(options, model, f"{model.spec.name}: downloaded to {model.path}")
    return ExitCode.DONE


def _ask_consent(text: str) -> bool:
    """Show what the user would agree to and wait for the word "yes"; anything else is a no."""
    sys.stderr.write(f'{text}\nType "yes" to agree: ')
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() == "yes":
        return True
    msg = "Expected your consent; it was not given. Nothing was sent or downloaded."
    raise ConsentError(msg)


def run_verify(options: argparse.Namespace) -> int:
    """Check the hash of a model's weights."""
    from SegAnyPETLib.model import verify_model

    model = verify_model(options.name)
    known = model.expected_sha256 is not None
    text = "intact" if known else "present; nobody stated a hash to compare with"
    _show(options, model, f"{model.spec.name}: {text} ({model.path})", is_verified=known)
    return ExitCode.DONE


def run_remove(options: argparse.Namespace) -> int:
    """Delete a model's weights."""
    from SegAnyPETLib.model import remove_model

    model = remove_model(options.name)
    text = "nothing to remove" if model.origin == "absent" else "removed"
    _show(options, model, f"{model.spec.name}: {text}", is_removed=model.origin != "absent")
    return ExitCode.DONE


def _show(options: argparse.Namespace, model: InstalledModel, text: str, **facts: bool) -> None:
    if options.json:
        write_json(_model_object(model) | facts)
    else:
        write_line(text)


def _model_object(model: InstalledModel) -> dict[str, Any]:
    return {
        "name": model.spec.name,
        "title": model.spec.title,
        "architecture": model.spec.architecture,
        "origin": model.origin,
        "path": str(model.path),
        "sha256": model.expected_sha256,
        "size_bytes": model.spec.size_bytes,
        "licence": model.spec.licence,
        "training_data": model.spec.training_data,
        "measured": dict(model.spec.measured),
        "notes": model.spec.notes,
    }


def _size(model: InstalledModel) -> str:
    if model.origin != "absent":
        return f"{model.path.stat().st_size / 1e6:.0f} MB"
    return "-" if model.spec.size_bytes is None else f"{model.spec.size_bytes / 1e6:.0f} MB"

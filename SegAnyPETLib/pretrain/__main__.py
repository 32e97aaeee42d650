"""Command line of the training programme: ``python -m SegAnyPETLib.pretrain``."""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import fields
from pathlib import Path

from SegAnyPETLib.pretrain.config import TrainingConfig
from SegAnyPETLib.pretrain.real_cases import read_real_cases
from SegAnyPETLib.pretrain.train import train


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(prog="python -m SegAnyPETLib.pretrain", description="Train the bundled network.")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; resumed if it holds a checkpoint")
    parser.add_argument("--data", type=Path, help="folder of real cases (CASE/pet.nii.gz, CASE/gtv.nii.gz)")
    parser.add_argument("--init", type=Path, help="weights (.safetensors) to start from")
    parser.add_argument("--exclude-fold", help="K/N: never look at cases whose number is K modulo N")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--workers", type=int, default=0, help="processes that draw crops; worth it with a GPU")
    for field in fields(TrainingConfig):
        if field.name != "exclude_fold":
            option = "--" + field.name.replace("_", "-")
            parser.add_argument(
                option, type=type(field.default), default=field.default, help=f"default {field.default}"
            )
    options = vars(parser.parse_args(arguments))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    fold = options.pop("exclude_fold")
    exclude = (int(fold.split("/")[0]), int(fold.split("/")[1])) if fold else None
    config = TrainingConfig(
        exclude_fold=exclude, **{f.name: options[f.name] for f in fields(TrainingConfig) if f.name in options}
    )
    cases = read_real_cases(options["data"], exclude_fold=exclude) if options["data"] else []
    logging.info("%d real cases: %s", len(cases), ", ".join(c.name for c in cases))
    weights = train(
        config,
        options["out"],
        cases=cases,
        initial_weights=options["init"],
        device=options["device"],
        workers=options["workers"],
    )
    logging.info("wrote %s", weights)
    return 0


if __name__ == "__main__":
    sys.exit(main())

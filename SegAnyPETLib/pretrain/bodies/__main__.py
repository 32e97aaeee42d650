"""Write held-out studies: ``python -m SegAnyPETLib.pretrain.bodies --out DIR --count 10 --first-seed 900000``."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from SegAnyPETLib.pretrain.bodies.studies import sample_study, write_study
from SegAnyPETLib.pretrain.bodies.tracers import PRESETS


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and write the studies."""
    parser = argparse.ArgumentParser(
        prog="python -m SegAnyPETLib.pretrain.bodies",
        description="Write synthetic whole-body PET studies, one folder per visible object, for `seganypet evaluate`.",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for BODY_NNN_OBJECT/pet.nii.gz and gtv.nii.gz")
    parser.add_argument("--count", type=int, default=10, help="number of studies, default 10")
    parser.add_argument("--first-seed", type=int, default=900_000, help="seed of the first, default 900000")
    parser.add_argument("--preset", choices=PRESETS, help="the tracer; drawn for each study when left out")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    for number in range(options.count):
        study = sample_study(options.first_seed + number, preset=options.preset)
        folders = write_study(study, options.out, name=f"BODY_{number:03d}")
        logging.info("study %d: %s, %d objects", number, study.preset, len(folders))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""How long each preset would take here: some steps measured in a process of its own, for whoever chooses one.

``python -m SegAnyPETLib.finetune.estimating MANIFEST --base lite --method cpcl --device auto`` writes one JSON object:
``{"seconds": {"quick": 71.5, ...}}``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from SegAnyPETLib.errors import InputError, SegAnyPETError

if TYPE_CHECKING:
    from SegAnyPETLib.finetune.cohort.manifest import CohortEntry, Manifest
    from SegAnyPETLib.finetune.config import Method
    from SegAnyPETLib.finetune.presets import PresetName

MOST_OPENED = 4  # cases of either quality: what a step costs does not depend on which cases there are
MEASURED: PresetName = "quick"  # the others have other numbers of steps and crops, of the same cost
LESIONS_PER_CASE = 2.0  # to be judged, as long as nobody has counted


def estimate_presets(manifest: Manifest, *, base: str, method: Method, device: str) -> dict[PresetName, float]:
    """Seconds that each preset would take with a cohort, checking left aside.

    Args:
        manifest: Of the cohort.
        base: Name or path of the model to begin with.
        method: Of training.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.

    Raises:
        InputError: There is no case for training, or one cannot be opened.
        ModelError: The model cannot be used.
    """
    from SegAnyPETLib.finetune.cohort.cases import load_case
    from SegAnyPETLib.finetune.cohort.cohort_crops import CohortCrops
    from SegAnyPETLib.finetune.cohort.crop_kind import CropKind
    from SegAnyPETLib.finetune.judging_time import SECONDS_PER_JUDGED, count_judged, judging_seconds_per_lesion
    from SegAnyPETLib.finetune.presets import PRESETS, choose_preset, estimate_seconds
    from SegAnyPETLib.finetune.site_run import judged_model
    from SegAnyPETLib.model import load_model
    from SegAnyPETLib.model.device import resolve_device

    careful, careless = (of_quality(manifest, quality) for quality in ("HQ", "LQ"))
    model, place = load_model(base, device="cpu"), resolve_device(device)
    cases = tuple(load_case(entry) for entry in careful[:MOST_OPENED] + careless[:MOST_OPENED])
    if not cases:
        msg = "Expected at least one case for training; found none. Change what the cases are used for."
        raise InputError(msg)
    counts = {"careful_cases": len(careful), "careless_cases": len(careless)}
    configs = {
        name: replace(
            choose_preset(name, architecture=model.spec.architecture, **counts, device=place).config, method=method
        )
        for name in PRESETS
    }
    measured = configs[MEASURED]
    source = CohortCrops(cases, replay_share=measured.replay_share, kind=CropKind.of(model.spec))
    per_crop = estimate_seconds(model.network, source, measured, device=place) / (measured.steps * measured.batch)
    lesions, per_lesion = LESIONS_PER_CASE * len(manifest.of_split("validation")), SECONDS_PER_JUDGED
    if model.spec.architecture != "lite":
        per_lesion = judging_seconds_per_lesion(judged_model(model, device=place))
    return {
        name: per_crop * config.steps * config.batch
        + per_lesion * count_judged(lesions, config.steps / config.validate_every if config.validate_every else 0.0)
        for name, config in configs.items()
    }


def of_quality(manifest: Manifest, quality: str) -> tuple[CohortEntry, ...]:
    """The cases for training with labels of a quality."""
    return tuple(entry for entry in manifest.of_split("train") if entry.quality == quality)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments, write the answer; 3 and a line on stderr where it cannot be known."""
    import json

    from SegAnyPETLib.finetune.cohort.manifest import read_manifest

    parser = argparse.ArgumentParser(description="How long each preset would take on this machine.")
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--base", default="lite")
    parser.add_argument("--method", choices=("cpcl", "plain", "hq"), default="cpcl")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args(arguments)
    try:
        seconds = estimate_presets(
            read_manifest(options.manifest), base=options.base, method=options.method, device=options.device
        )
    except SegAnyPETError as error:
        sys.stderr.write(f"{error}\n")
        return 3
    sys.stdout.write(json.dumps({"seconds": seconds}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

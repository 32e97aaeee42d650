"""What repairs by the image alone do to careless labels, without any training:

    python Testing/cpcl_study/repaired_labels.py            # synthetic site
    python Testing/cpcl_study/repaired_labels.py --data FOLDER  # real cases

A line for every kind of mislabelling: Dice of the careless labels with their truth as they were drawn, in how many
cohorts they were taken for thresholds that are too high, Dice once these were drawn down, the mean offset that was then
found, and Dice with the offset of the cohort taken back, and with that of each one. Above them, how much the offsets of
clean labels scatter.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from cohorts import RealSite, SyntheticSite

from SegAnyPETLib.finetune.cohort_level import CohortLevel
from SegAnyPETLib.finetune.cohort_offset import CohortOffset
from SegAnyPETLib.finetune.config import CPCLConfig
from SegAnyPETLib.finetune.signed_distance import moved_share
from SegAnyPETLib.finetune.uptake_edge import edge_offset_mm

CONFIG = CPCLConfig()


def offset_of(crop):
    return edge_offset_mm(
        crop.label,
        crop.suv,
        spacing_kji_mm=crop.spacing_kji_mm,
        reach_mm=CONFIG.edge_reach_mm,
        cut_share=CONFIG.offset_cut_share,
    )


def looked_at(careful, careless):
    """The offsets of a cohort, each case looked at once."""
    found = CohortOffset(CONFIG)
    for crops, is_careful in ((careful, True), (careless, False)):
        for crop in crops:
            found.add(crop.case, is_careful=is_careful, offset_mm=offset_of(crop), disagreement=0.0)
    return found


def dice(label, truth):
    return 2 * (label & truth).sum() / (label.sum() + truth.sum())


def with_truth(careless, truths, offsets):
    """Mean Dice of the careless labels after so much was taken back from each."""
    moved = [
        moved_share(crop.label, outward_mm=-mm, spacing_kji_mm=crop.spacing_kji_mm) > 0.5
        for crop, mm in zip(careless, offsets, strict=True)
    ]
    return np.mean([dice(label, truth.label) for label, truth in zip(moved, truths, strict=True)])


def line(site, seeds, noise):
    """Means over cohorts of what the table shows."""
    rows = []
    for seed in seeds:
        truths, cohort = site.cohort(seed, None).careless_cases, site.cohort(seed, noise)
        level = CohortLevel(CONFIG)
        whole = level.made_whole(cohort.careful_cases, cohort.careless_cases)
        found, none = looked_at(cohort.careful_cases, whole), [0.0] * len(whole)
        own = [found.of_case(crop.case) for crop in whole]
        ways = ((cohort.careless_cases, none), (whole, none), (whole, [found.mm] * len(whole)), (whole, own))
        dices = [with_truth(crops, truths, offsets) for crops, offsets in ways]
        rows.append([level.level is not None, found.mm, *dices])
    return np.mean(rows, axis=0)


def scatter(site, seeds):
    """Standard deviation in mm of the clean labels' offsets, each case of the cohorts once."""
    cohorts = [site.cohort(seed, None) for seed in seeds]
    crops = [crop for cohort in cohorts for crop in (*cohort.careful_cases, *cohort.careless_cases)]
    found = {crop.suv.tobytes(): offset_of(crop) for crop in crops}
    known = [mm for mm in found.values() if mm is not None]
    return np.std(known, ddof=1), len(known)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of real cases; synthetic ones where none is given")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--first-seed", type=int, default=1)
    options = parser.parse_args()
    site = RealSite(options.data) if options.data else SyntheticSite()
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    spread, cases = scatter(site, seeds)
    sys.stdout.write(f"offsets of clean labels: standard deviation {spread:.2f} mm ({cases} cases)\n\n")
    heads = ("labels", "as drawn", "too high", "drawn down", "offset, mm", "the cohort's taken back", "each one's own")
    sys.stdout.write(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|\n")
    for noise in (None, *site.noises):
        name = "clean" if noise is None else f"{noise.kind} {noise.amount:g}"
        too_high, offset, drawn, down, *moved = line(site, seeds, noise)
        cells = [
            f"{drawn:.3f}",
            f"{too_high:.0%}",
            f"{down:.3f}",
            f"{offset:+.1f}",
            *(f"{value:.3f}" for value in moved),
        ]
        sys.stdout.write(f"| {name} | {' | '.join(cells)} |\n")


if __name__ == "__main__":
    main()

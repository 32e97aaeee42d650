"""What taking offsets back does to careless labels, without any training:

    python Testing/cpcl_study/repaired_labels.py            # synthetic site
    python Testing/cpcl_study/repaired_labels.py --data FOLDER  # real cases

A line for every kind of mislabelling: the mean offset that was found, and Dice of the careless labels with their truth:
as they were drawn, with the cohort's offset taken back, and with each one's own. Above them, how much the offsets of
clean labels scatter.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from cohorts import RealSite, SyntheticSite

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


def looked_at(cohort):
    """The offsets of a cohort, each case looked at once."""
    found = CohortOffset(CONFIG)
    for crops, is_careful in ((cohort.careful_cases, True), (cohort.careless_cases, False)):
        for crop in crops:
            found.add(crop.case, is_careful=is_careful, offset_mm=offset_of(crop), disagreement=0.0)
    return found


def dice(label, truth):
    return 2 * (label & truth).sum() / (label.sum() + truth.sum())


def with_truth(cohort, truths, offsets):
    """Mean Dice of the careless labels after so much was taken back from each."""
    moved = [
        moved_share(crop.label, outward_mm=-mm, spacing_kji_mm=crop.spacing_kji_mm) > 0.5
        for crop, mm in zip(cohort.careless_cases, offsets, strict=True)
    ]
    return np.mean([dice(label, truth.label) for label, truth in zip(moved, truths, strict=True)])


def line(site, seeds, noise):
    """Means over cohorts: offset, Dice as drawn, with the cohort's offset, with each one's own."""
    rows = []
    for seed in seeds:
        truths, cohort = site.cohort(seed, None).careless_cases, site.cohort(seed, noise)
        found, count = looked_at(cohort), len(cohort.careless_cases)
        own = [found.of_case(crop.case) for crop in cohort.careless_cases]
        ways = ([0.0] * count, [found.mm] * count, own)
        rows.append([found.mm, *(with_truth(cohort, truths, offsets) for offsets in ways)])
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
    sys.stdout.write("| labels | offset, mm | as drawn | the cohort's offset taken back | each one's own |\n")
    sys.stdout.write("|---|---|---|---|---|\n")
    for noise in (None, *site.noises):
        name = "clean" if noise is None else f"{noise.kind} {noise.amount:g}"
        offset, *dices = line(site, seeds, noise)
        sys.stdout.write(f"| {name} | {offset:+.1f} | {' | '.join(f'{value:.3f}' for value in dices)} |\n")


if __name__ == "__main__":
    main()

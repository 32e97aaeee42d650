"""How often the cohort checker reports that careless labels are drawn too large or too small:

    python Testing/cpcl_study/reported_size.py --data FOLDER

Cohorts are drawn at random from the real cases of the folder; the borders of the careless labels are moved by the same
distance. A line for each number of careful labels, with the share of cohorts reported for each distance.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from SegAnyPETLib.data.segment import Segment
from SegAnyPETLib.evaluation.cases import find_cases
from SegAnyPETLib.finetune.cohort import CohortEntry, load_case
from SegAnyPETLib.finetune.cohort.cases import make_case
from SegAnyPETLib.finetune.cohort.drawn_size import drawn_otherwise, drawn_outside_mm
from SegAnyPETLib.finetune.signed_distance import signed_distance_mm

MOVED_MM = (-6.0, -3.0, 0.0, 4.0, 8.0)
CARELESS, CAREFUL = 14, (4, 6, 10, 16)


def outside_mm(path):
    """How far the label of a case lies outside the edge of uptake, for each distance its border is moved."""
    entry = CohortEntry(path.name, path.name, path / "pet.nii.gz", path / "gtv.nii.gz")
    case = load_case(entry)
    distance = signed_distance_mm(case.label, spacing_kji_mm=case.grid.spacing_kji_mm)
    return {mm: drawn_outside_mm(make_case(entry, case.image, [Segment("lesion", distance > -mm)])) for mm in MOVED_MM}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of real cases")
    parser.add_argument("--cohorts", type=int, default=2000)
    options = parser.parse_args()
    found = [outside_mm(path) for path in find_cases(options.data)]
    clean = [values[0.0] for values in found]
    sys.stdout.write(f"clean labels: standard deviation {np.std(clean, ddof=1):.1f} mm ({len(clean)} cases)\n\n")
    sys.stdout.write(f"| careful | {' | '.join(f'{mm:+g} mm' for mm in MOVED_MM)} |\n|---{'|---' * len(MOVED_MM)}|\n")
    for careful in CAREFUL:
        rng = np.random.default_rng(1)
        orders = [rng.permutation(len(found)) for _ in range(options.cohorts)]
        shares = []
        for mm in MOVED_MM:
            kinds = ["HQ"] * careful + ["LQ"] * CARELESS
            labels = [
                [*(clean[n] for n in order[:careful]), *(found[n][mm] for n in order[careful:])] for order in orders
            ]
            reported = [bool(drawn_otherwise(zip(kinds, values[: len(kinds)], strict=True))) for values in labels]
            shares.append(np.mean(reported))
        sys.stdout.write(f"| {careful} | {' | '.join(f'{share:.1%}' for share in shares)} |\n")


if __name__ == "__main__":
    main()

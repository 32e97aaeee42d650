"""The table of the study: `python Testing/cpcl_study/summarize_study.py study/runs.jsonl`.

Mean Dice over seeds, paired differences with nested bootstrap intervals (seeds, then cases) and the seeds' t-test.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy import stats

DRAWS = 4000


def read(path):
    """(method, noise) -> seed -> Dice of each test case."""
    found = defaultdict(dict)
    for text in path.read_text().splitlines():
        line = json.loads(text)
        noise = "clean" if line["noise"] is None else f"{line['noise']['kind']} {line['noise']['amount']:g}"
        found[line["method"], noise][line["seed"]] = line
    return found


def paired(first, second, measure):
    """Differences (seeds, cases) of two arms."""
    seeds = sorted(first.keys() & second.keys())
    return np.array([np.subtract(first[seed][measure], second[seed][measure]) for seed in seeds])


def interval(differences, rng):
    """95 % of the mean under redrawn seeds, and redrawn cases within each."""
    seeds, cases = differences.shape
    means = []
    for _ in range(DRAWS):
        some = differences[rng.integers(seeds, size=seeds)]
        means.append(some[:, rng.integers(cases, size=cases)].mean())
    return np.percentile(means, [2.5, 97.5])


def compared(differences, rng):
    """Mean of differences (seeds, cases), its interval, the p value over seeds, and seeds in which it is positive."""
    by_seed = differences.mean(axis=1)
    low, high = interval(differences, rng)
    p = stats.ttest_1samp(by_seed, 0).pvalue if len(by_seed) > 1 else float("nan")
    chance = "p<0.001" if p < 0.001 else f"p={p:.3f}"
    return f"{by_seed.mean():+.3f} [{low:+.3f}, {high:+.3f}] {chance} {int((by_seed > 0).sum())}/{len(by_seed)}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("--clicks", type=int, default=1)
    options = parser.parse_args()
    found, rng, measure = read(options.runs), np.random.default_rng(1), f"dice_{options.clicks}"

    def mean(method, noise, like=None):
        runs = found.get((method, noise), {})
        values = [run[measure] for seed, run in runs.items() if like is None or seed in found.get(like, {})]
        return f"{np.mean(values):.3f}" if values else "-"

    sys.stdout.write(
        f"base {mean('none', 'clean')}, careful labels alone {mean('hq', 'clean')}, all labels clean "
        f"{mean('plain', 'clean')}; Dice after {options.clicks} click(s)\n\n"
        "| careless labels | plain | CPCL | CPCL - plain | CPCL - careful alone |\n|---|---|---|---|---|\n"
    )
    for noise in dict.fromkeys(noise for _method, noise in found):
        if ("cpcl", noise) not in found:
            continue
        ours = found["cpcl", noise]
        cells = [noise, mean("plain", noise, like=("cpcl", noise)), mean("cpcl", noise, like=("plain", noise))]
        for method, of in (("plain", noise), ("hq", "clean")):
            cells.append(compared(paired(ours, found[method, of], measure), rng) if (method, of) in found else "-")
        sys.stdout.write("| " + " | ".join(cells) + " |\n")
    kinds = [noise for method, noise in found if method == "cpcl" and noise != "clean"]
    alone = found.get(("hq", "clean"), {})
    whole = [kind for kind in kinds if found["cpcl", kind].keys() == alone.keys()]
    if whole:
        over_all = np.mean([paired(found["cpcl", kind], alone, measure) for kind in whole], axis=0)
        sys.stdout.write(
            f"\nCPCL - careful alone, mean of {len(whole)} kinds of mislabelling: {compared(over_all, rng)}\n"
        )


if __name__ == "__main__":
    main()

"""Does cross prompting confident learning help, and against which careless labels? One command:

    python Testing/cpcl_study/run_study.py --out study
    python Testing/cpcl_study/run_study.py --out study_real --data FOLDER

The second one takes real cases, a folder each (see `real_lesions`). Arms: the base model as it is, careful labels alone
(hq), all labels as they are (plain), CPCL, and all labels clean (the ceiling), on the same cohorts with the same steps,
crops and seeds. Every finished run is a line of `runs.jsonl`; started again, the study goes on where it was stopped.
`summarize_study.py` makes the table.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from cohorts import RealSite, SyntheticSite
from safetensors.torch import load_file, save_file
from tiny_network import TinyNetwork

from SegAnyPETLib.clicks import next_click
from SegAnyPETLib.finetune.config import CPCLConfig, FineTuneConfig
from SegAnyPETLib.finetune.crops import to_volumes
from SegAnyPETLib.finetune.label_noise import LabelNoise
from SegAnyPETLib.finetune.loop import start, train
from SegAnyPETLib.finetune.prompt_sets import to_points

CPU = torch.device("cpu")
CLICKS = (1, 3)
BASE_TRAINING = FineTuneConfig(
    method="hq", steps=1000, seed=1, learning_rate=2e-3, warm_up_steps=50, batch=8, max_clicks=3
)
TUNING = FineTuneConfig(
    steps=160, learning_rate=1e-3, warm_up_steps=5, batch=4, careless_share=0.75, max_clicks=3, average_decay=0.95
)


def evaluate(weights, crops):
    """Dice of each crop after each number of clicks: into the middle first, then into the largest error."""
    network = TinyNetwork()
    network.load_state_dict(weights)
    network.eval()
    found = {count: [] for count in CLICKS}
    for crop in crops:
        answer, logits, placed = np.zeros_like(crop.label), None, []
        for count in range(1, max(CLICKS) + 1):
            click = next_click(crop.label, answer, spacing_kji_mm=crop.spacing_kji_mm)
            if click is not None:
                placed.append(((*map(float, click[0]), 0.0), int(click[1])))
            with torch.no_grad():
                points = to_points([placed], CPU)
                logits, _ = network.decode(network.encode(to_volumes([crop], CPU)), points=points, mask_logits=logits)
            answer = (logits[0, 0] > 0).numpy()
            if count in found:
                found[count].append(2 * (answer & crop.label).sum() / (answer.sum() + crop.label.sum()))
    return {f"dice_{count}": [round(float(dice), 5) for dice in dices] for count, dices in found.items()}


def base_weights(out, site):
    """Of the base model, trained once."""
    path = site.base_file or out / "base.safetensors"
    if not path.exists():
        torch.manual_seed(1)
        weights = train(start(TinyNetwork(), BASE_TRAINING), site.base(), BASE_TRAINING, device=CPU)
        save_file(weights, path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)
    return load_file(path)


def planned(site, seeds, methods, kinds):
    """Every run: method, noise (None is clean) and seed. What does not depend on the noise is run once per seed.

    The first level of every kind comes first, in all seeds.
    """
    noises = [noise for noise in site.noises if not kinds or noise.kind in kinds]
    always = ("none", "hq", "plain", *(("cpcl",) if "cpcl" in methods else ()))
    runs = []
    for level in (0, 1):
        for seed in seeds:
            if level == 0:
                runs += [(method, None, seed) for method in always]
            chosen = [noise for noise in noises if site.noises.index(noise) % 2 == level]
            runs += [(method, noise, seed) for noise in chosen for method in methods]
    return runs


def run(job):
    """One run, as a line of the file."""
    out, site, config, (method, noise, seed) = job
    torch.set_num_threads(1)
    began = time.monotonic()
    weights, facts = base_weights(out, site), {}
    if method != "none":
        config = replace(config, method=method, seed=seed)
        network = TinyNetwork()
        network.load_state_dict(weights)
        state = start(network, config)
        weights = train(state, site.cohort(seed, noise), config, device=CPU)
        facts = state.history[-1]
    line = {"method": method, "noise": None if noise is None else asdict(noise), "seed": seed, **facts}
    line |= evaluate(weights, site.test(seed))
    return {**line, "seconds": round(time.monotonic() - began, 1)}


def key_of(method, noise, seed):
    return method, None if noise is None else (noise.kind, noise.amount), seed


def identity(line):
    """The key of a finished run."""
    noise = None if line["noise"] is None else LabelNoise(**line["noise"])
    return key_of(line["method"], noise, line["seed"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="folder of real cases; synthetic ones where none is given")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--methods", nargs="+", default=["plain", "cpcl"])
    parser.add_argument("--noise", nargs="+", help="kinds, all where none are given")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="of CPCLConfig")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    site = RealSite(options.data) if options.data else SyntheticSite()
    torch.set_num_threads(1)
    base_weights(options.out, site)
    changes = {name: float(value) for name, value in (text.split("=") for text in options.set)}
    config = replace(TUNING, cpcl=CPCLConfig(**changes))
    file = options.out / "runs.jsonl"
    done = {identity(json.loads(line)) for line in file.read_text().splitlines()} if file.exists() else set()
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    runs = planned(site, seeds, options.methods, options.noise)
    jobs = [(options.out, site, config, each) for each in runs if key_of(*each) not in done]
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool, file.open("a") as stream:
        for number, line in enumerate(pool.imap_unordered(run, jobs), 1):
            stream.write(json.dumps(line) + "\n")
            stream.flush()
            sys.stdout.write(
                f"{number}/{len(jobs)} {identity(line)} {np.mean(line['dice_1']):.3f} {line['seconds']} s\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()

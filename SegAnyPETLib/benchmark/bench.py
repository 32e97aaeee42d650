"""Speed and memory of this machine, as one JSON object.

Schema "seganypet-bench/1":

    schema      "seganypet-bench/1"
    machine     processor, cores, memory_gb, system
    software    versions
    repeats     per figure; every figure is their median
    measured    per measurement ("lite", "whole_body_lite", "vit_b"), each in its own process: weights, threads,
                image_shape_kji, encode_s (one region), first_click_s (image set, region encoded, mask made),
                next_click_s, session_s (an image and five clicks), peak_memory_mb (torch and Python included, the
                literal encoder not); vit_b also encoders: ours_s, ours_cpu_s, literal_s, literal_cpu_s (wall clock
                and processor time, in turn, on one thread) and largest_difference of both embeddings; only absent,
                with the reason, where the oracle is not installed
    ratios      literal_encoder_over_ours (wall clock), literal_encoder_over_ours_cpu (processor time, which other
                programs on the machine disturb less), next_click_over_first_click_vit_b,
                next_click_over_first_click_lite; null where something was not measured
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from SegAnyPETLib.benchmark.machine import describe_machine, describe_software
from SegAnyPETLib.errors import InputError, SetupError

SCHEMA = "seganypet-bench/1"
MEASUREMENT_NAMES = ("lite", "whole_body_lite", "vit_b")
ROOT = Path(__file__).resolve().parents[2]


def run_benchmark(
    *, repeats: int = 5, names: tuple[str, ...] = MEASUREMENT_NAMES, on_start: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Measure, one process after the other, and put the figures together (see this module).

    Args:
        repeats: Per figure.
        names: What to measure.
        on_start: Called with the name of each measurement before it begins.

    Raises:
        InputError: `repeats` is less than one.
        SetupError: A measurement did not end well.
    """
    if repeats < 1:
        msg = f"Expected at least one repeat; found {repeats}."
        raise InputError(msg)
    measured = {}
    for name in names:
        if on_start is not None:
            on_start(name)
        measured[name] = _measure(name, repeats)
    return {
        "schema": SCHEMA,
        "machine": describe_machine(),
        "software": describe_software(),
        "repeats": repeats,
        "measured": measured,
        "ratios": compute_ratios(measured),
    }


def compute_ratios(measured: Mapping[str, Mapping[str, Any]]) -> dict[str, float | None]:
    """The promised ratios out of the measurements; None where a part was not measured."""
    lite, vit_b = measured.get("lite", {}), measured.get("vit_b", {})
    encoders = vit_b.get("encoders", {})
    return {
        "literal_encoder_over_ours": _quotient(encoders.get("literal_s"), encoders.get("ours_s")),
        "literal_encoder_over_ours_cpu": _quotient(encoders.get("literal_cpu_s"), encoders.get("ours_cpu_s")),
        "next_click_over_first_click_vit_b": _quotient(vit_b.get("next_click_s"), vit_b.get("first_click_s")),
        "next_click_over_first_click_lite": _quotient(lite.get("next_click_s"), lite.get("first_click_s")),
    }


def _measure(name: str, repeats: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "SegAnyPETLib.benchmark.measurements", name, "--repeats", str(repeats)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        msg = f"Expected the measurement {name!r} to end well; its process ended with {done.returncode}: {reason}"
        raise SetupError(msg)
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def _quotient(numerator: float | None, denominator: float | None) -> float | None:
    return None if numerator is None or not denominator else numerator / denominator

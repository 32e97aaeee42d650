"""Time for many lesions of one study: all in one call, against a fresh session with a fresh image for each.

    python Testing/batch_study/measure_lesions.py --threads 1 --repeats 3

CPU time of the process is what counts where other programs run on the same cores; wall time is told beside it. Both
ways are measured in turn, so that a busy machine slows both.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

from SegAnyPETLib import InteractiveSession, Point, SUVVolume, load_model  # noqa: E402  in a folder just added
from SegAnyPETLib.batch.lesion import LesionRequest  # noqa: E402
from SegAnyPETLib.batch.segmenting import segment_lesions  # noqa: E402
from SegAnyPETLib.errors import SegAnyPETWarning  # noqa: E402
from SegAnyPETLib.phantom import body_phantom  # noqa: E402

COUNTS = (1, 2, 4, 8, 16, 32)
RADIUS_MM, EDGE_MM, LESION_SUV = 9.0, 6.0, 9.0
APART_MM = 45.0  # between lesions that are scattered, and between clusters
CLUSTER, CLUSTER_MM = 4, 24.0  # lesions in a cluster, and how far its lesions are from its first
TISSUE_SUV = (0.3, 2.5)  # where lesions are put: in the body, not in an organ that takes up much

Position = tuple[float, float, float]


@dataclass(frozen=True)
class LesionTiming:
    """Medians over the repeats.

    Attributes:
        lesions: How many.
        clustered: Four and four near each other, or scattered.
        alone_cpu_s: Process time of a fresh session each.
        together_cpu_s: Process time of `segment_lesions`.
        alone_wall_s: The same by the clock.
        together_wall_s: The same by the clock.
        alone_encoded: Regions encoded.
        together_encoded: Regions encoded.
        differing_voxels: Between both ways, voxels that overlap not counted; over all lesions.
    """

    lesions: int
    clustered: bool
    alone_cpu_s: float
    together_cpu_s: float
    alone_wall_s: float
    together_wall_s: float
    alone_encoded: int
    together_encoded: int
    differing_voxels: int

    @property
    def ratio(self) -> float:
        """CPU time alone over CPU time together."""
        return self.alone_cpu_s / self.together_cpu_s


class CountingModel:
    """A model that counts the regions it encodes."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.spec, self.decode, self.batching = model.spec, model.decode, model.batching
        self.batch_size = model.batch_size
        self.encoded = 0

    def encode(self, volume: Any) -> Any:
        """What the model answers."""
        self.encoded += len(volume)
        return self._model.encode(volume)


def study_of(lesions: int, *, clustered: bool, seed: int = 5) -> tuple[SUVVolume, list[Position]]:
    """A body with balls of 18 mm in it, and their centres."""
    phantom = body_phantom()
    rng = np.random.default_rng(seed)
    low, high = TISSUE_SUV
    tissue = np.argwhere((phantom.activity_suv > low) & (phantom.activity_suv < high))
    places = phantom.grid.kji_to_lps(tissue)
    centres: list[NDArray[np.float64]] = []
    while len(centres) < lesions:
        place = places[rng.integers(len(places))]
        if clustered and len(centres) % CLUSTER:
            turn = rng.normal(size=3)
            centres.append(centres[len(centres) // CLUSTER * CLUSTER] + CLUSTER_MM * turn / np.linalg.norm(turn))
        elif all(np.linalg.norm(place - other) > APART_MM for other in centres):
            centres.append(place)
    array = phantom.activity_suv.copy()
    index = np.stack(np.meshgrid(*map(np.arange, phantom.grid.shape_kji), indexing="ij"), axis=-1)
    lps = phantom.grid.kji_to_lps(index)
    for centre in centres:
        distance = np.linalg.norm(lps - centre, axis=-1)
        share = np.clip((RADIUS_MM - distance) / EDGE_MM + 0.5, 0.0, 1.0)
        array = np.maximum(array, (share * LESION_SUV).astype(np.float32))
    image = SUVVolume(array, phantom.grid, kind="bw")
    return image, [(float(x), float(y), float(z)) for x, y, z in centres]


def measure_lesions(
    model: Any, *, counts: Sequence[int] = COUNTS, repeats: int = 3, clustered: bool = False
) -> list[LesionTiming]:
    """Both ways for each number of lesions.

    Args:
        model: From `load_model`.
        counts: Numbers of lesions.
        repeats: Of which the medians are told.
        clustered: Four and four near each other, or scattered.
    """
    timings = []
    for lesions in counts:
        image, centres = study_of(lesions, clustered=clustered)
        alone, together = _Way(model, image, centres, _one_by_one), _Way(model, image, centres, _all_at_once)
        for _ in range(repeats):
            alone.run()
            together.run()
        differing = sum(
            int(np.count_nonzero(a ^ b)) for (a, _), (b, untouched) in zip(alone.masks, together.masks, strict=True)
            if untouched
        )  # fmt: skip
        medians = [statistics.median(s) for s in (alone.cpu_s, together.cpu_s, alone.wall_s, together.wall_s)]
        timings.append(LesionTiming(lesions, clustered, *medians, alone.encoded, together.encoded, differing))
    return timings


def slope_s(timings: Sequence[LesionTiming], of: Callable[[LesionTiming], float]) -> tuple[float, float]:
    """Seconds per lesion by least squares, and the share of the variance that the line explains (R squared)."""
    n, s = np.array([t.lesions for t in timings], dtype=float), np.array([of(t) for t in timings])
    line = np.polyfit(n, s, 1)
    return float(line[0]), 1.0 - float(((s - np.polyval(line, n)) ** 2).sum() / ((s - s.mean()) ** 2).sum())


class _Way:
    """One way to do it, with what it took each time."""

    def __init__(
        self,
        model: Any,
        image: SUVVolume,
        centres: Sequence[Position],
        way: Callable[[Any, SUVVolume, Sequence[Position]], list[tuple[NDArray[np.bool_], bool]]],
    ) -> None:
        self._model, self._image, self._centres, self._way = model, image, centres, way
        self.cpu_s: list[float] = []
        self.wall_s: list[float] = []
        self.encoded = 0
        self.masks: list[tuple[NDArray[np.bool_], bool]] = []

    def run(self) -> None:
        """Once more."""
        model = CountingModel(self._model)
        cpu, wall = time.process_time(), time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SegAnyPETWarning)  # that an object was followed no further
            self.masks = self._way(model, self._image, self._centres)
        self.cpu_s.append(time.process_time() - cpu)
        self.wall_s.append(time.perf_counter() - wall)
        self.encoded = model.encoded


def _one_by_one(model: Any, image: SUVVolume, centres: Sequence[Position]) -> list[tuple[NDArray[np.bool_], bool]]:
    answers = []
    for centre in centres:
        session = InteractiveSession(model)
        session.set_image(image)
        session.add(Point(centre))
        prediction = session.predict()
        _ = prediction.volume_interval_ml  # which the other way gives too
        answers.append((prediction.mask, True))
    return answers


def _all_at_once(model: Any, image: SUVVolume, centres: Sequence[Position]) -> list[tuple[NDArray[np.bool_], bool]]:
    requests = [LesionRequest(f"lesion {n}", (Point(c),), "a click") for n, c in enumerate(centres)]
    found = segment_lesions(image, requests, model=model)
    return [(each.mask, not any("given to it" in notice for notice in each.notices)) for each in found]


def as_text(timings: Sequence[LesionTiming]) -> str:
    """A table for people."""
    lines = ["lesions  placed     alone cpu/wall s   together cpu/wall s   ratio   encoded   differing voxels"]
    lines += [
        f"{t.lesions:7d}  {'clusters' if t.clustered else 'scattered':9}  {t.alone_cpu_s:8.2f} {t.alone_wall_s:8.2f}"
        f"  {t.together_cpu_s:10.2f} {t.together_wall_s:8.2f}  {t.ratio:6.2f}"
        f"  {t.alone_encoded:4d} {t.together_encoded:4d}  {t.differing_voxels:8d}"
        for t in timings
    ]
    if len(timings) > 2:
        for name, of in (("alone", lambda t: t.alone_cpu_s), ("together", lambda t: t.together_cpu_s)):
            slope, explained = slope_s(timings, of)
            lines.append(f"{name}: {slope:.3f} s of CPU time per lesion, R squared {explained:.4f}")
    return "\n".join(lines)


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--counts", type=int, nargs="+", default=list(COUNTS))
    parser.add_argument("--clustered", action="store_true")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    model = load_model("lite", device=options.device)
    measure_lesions(model, counts=[1], repeats=1)  # the first call of a process is slow
    timings = measure_lesions(model, counts=options.counts, repeats=options.repeats, clustered=options.clustered)
    sys.stdout.write(as_text(timings) + "\n")
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(t) | {"ratio": t.ratio} for t in timings], indent=1))


if __name__ == "__main__":
    main()

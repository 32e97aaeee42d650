"""What only shows when cases are compared with each other: copies, and patients on both sides of a split."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.finetune.cohort.cases import CohortCase
from SegAnyPETLib.finetune.cohort.findings import Finding
from SegAnyPETLib.finetune.cohort.manifest import CohortEntry
from SegAnyPETLib.geometry import Grid, VoxelBox

SIDE = 8  # blocks along each axis of an image's signature
SAME_IMAGE = 0.01  # root mean square difference of signatures with unit deviation; other days of a patient exceed 0.1
FEWEST_VOXELS = 200  # smaller labels look alike by chance
LEAST_OVERLAP = 0.1  # Dice, from which on two labels of one image are the same lesion


@dataclass(frozen=True, eq=False)
class CaseTraits:
    """What is kept of a case for comparing it, a few kilobytes.

    Attributes:
        entry: Its line.
        shape: Of the image with its axes along left, back and head.
        signature: Mean ln(1 + SUV) in `SIDE`³ blocks, without mean and of unit deviation, so that a copy in other
            units or another number type has the same one.
        label_box: Around the label, in those axes.
        label: Its bits in the box, packed.
        label_voxels: Their number.
    """

    entry: CohortEntry
    shape: tuple[int, int, int]
    signature: NDArray[np.float32] = field(repr=False)
    label_box: VoxelBox
    label: bytes = field(repr=False)
    label_voxels: int

    def mask(self) -> NDArray[np.bool_]:
        """The label in its box."""
        shape = self.label_box.shape_kji
        return np.unpackbits(np.frombuffer(self.label, np.uint8), count=int(np.prod(shape))).reshape(shape) > 0


def traits_of(entry: CohortEntry, case: CohortCase) -> CaseTraits:
    """What to compare of a case."""
    suv = _towards_world(case.suv, case.grid)
    label = _towards_world(case.label, case.grid)
    box = VoxelBox.of_mask(label)
    inside = label[box.slices]
    shape = (suv.shape[0], suv.shape[1], suv.shape[2])
    return CaseTraits(entry, shape, _signature(suv), box, np.packbits(inside).tobytes(), int(inside.sum()))


def copies(traits: Sequence[CaseTraits]) -> list[Finding]:
    """The same image under two names, and the same label on two images; each case is named once for each."""
    same_images: dict[str, set[str]] = defaultdict(set)
    found: dict[tuple[str, str], Finding] = {}
    for one, other in _pairs_of_equal_images(traits):
        same_images[other.entry.case].add(one.entry.case)
        finding = _same_image(one, other)
        if finding is not None:
            found.setdefault((finding.case, finding.kind), finding)
    by_label: dict[str, list[CaseTraits]] = defaultdict(list)
    for each in traits:
        if each.label_voxels >= FEWEST_VOXELS:
            key = hashlib.sha256(repr(each.label_box.shape_kji).encode() + each.label).hexdigest()
            by_label[key].append(each)
    for first, *others in by_label.values():
        for other in others:
            if first.entry.case not in same_images[other.entry.case]:
                finding = _copied_label(first, other)
                found.setdefault((finding.case, finding.kind), finding)
    return list(found.values())


def _copied_label(one: CaseTraits, other: CaseTraits) -> Finding:
    message = (
        f"its label is voxel for voxel that of {one.entry.case} ({one.label_voxels} voxels), and its image is another"
    )
    advice = "Find the label that belongs to the image."
    return Finding(other.entry.case, "copied label", "error", message, advice)


def leaks(entries: Sequence[CohortEntry]) -> Iterator[Finding]:
    """Patients who are in more than one split."""
    by_patient: dict[str, list[CohortEntry]] = defaultdict(list)
    for entry in entries:
        by_patient[entry.patient].append(entry)
    for patient, own in by_patient.items():
        splits = sorted({entry.split for entry in own})
        if len(splits) > 1:
            names = ", ".join(f"{entry.case} ({entry.split})" for entry in own[:6])
            yield Finding(
                own[0].case,
                "leak",
                "error",
                f"patient {patient} is in {' and '.join(splits)}: {names}",
                "Put all cases of a patient into one split; results would look better than they are.",
            )


def _same_image(one: CaseTraits, other: CaseTraits) -> Finding | None:
    first, second = one.entry, other.entry
    name, where = second.case, f"its image is that of {first.case}"
    if first.split != second.split:
        advice = "Put both into one split, or remove one; results would look better than they are."
        return Finding(name, "leak", "error", f"{where}, which is in {first.split}, not {second.split}", advice)
    if first.patient != second.patient:
        message = f"{where}, of patient {first.patient}, not {second.patient}"
        return Finding(name, "duplicate", "error", message, "Remove one, or correct the patient.")
    overlap = _dice(one, other)
    if overlap < LEAST_OVERLAP:
        return None  # other lesions of one image may have lines of their own
    message = f"{where}, and their labels are of the same lesions (Dice {overlap:.2f})"
    return Finding(name, "duplicate", "warning", message, "Keep the better label; the case would count twice.")


def _pairs_of_equal_images(traits: Sequence[CaseTraits]) -> Iterator[tuple[CaseTraits, CaseTraits]]:
    by_shape: dict[tuple[int, int, int], list[CaseTraits]] = defaultdict(list)
    for each in traits:
        by_shape[each.shape].append(each)
    for group in by_shape.values():
        signatures = np.stack([each.signature for each in group])
        for n, signature in enumerate(signatures[:-1]):
            away = np.sqrt(((signatures[n + 1 :] - signature) ** 2).mean(axis=1))
            for m in np.flatnonzero(away < SAME_IMAGE).tolist():
                yield group[n], group[n + 1 + m]


def _dice(one: CaseTraits, other: CaseTraits) -> float:
    box = one.label_box.union(other.label_box)
    first, second = np.zeros(box.shape_kji, dtype=bool), np.zeros(box.shape_kji, dtype=bool)
    for whole, traits in ((first, one), (second, other)):
        whole[traits.label_box.shifted([-n for n in box.start_kji]).slices] = traits.mask()
    return 2 * int((first & second).sum()) / max(1, one.label_voxels + other.label_voxels)


def _towards_world(array: NDArray[Any], grid: Grid) -> NDArray[Any]:  # the dtype stays
    """A view whose axes run towards head, back and left, as closely as the grid allows."""
    direction = np.asarray(grid.direction)
    worlds = [int(n) for n in np.abs(direction).argmax(axis=0)]  # of i, j, k
    if len(set(worlds)) < 3:
        return array
    axes = [2 - worlds.index(world) for world in (2, 1, 0)]  # array axis for z, y, x
    flips = tuple(n for n, axis in enumerate(axes) if direction[worlds[2 - axis], 2 - axis] < 0)
    return np.flip(array.transpose(axes), flips)


def _signature(suv: NDArray[np.float32]) -> NDArray[np.float32]:
    values = np.log1p(np.maximum(suv / max(float(suv.mean()), 1e-6), 0))
    for axis in range(3):
        edges = (np.arange(min(SIDE, suv.shape[axis])) * suv.shape[axis]) // min(SIDE, suv.shape[axis])
        counts = np.diff([*edges, suv.shape[axis]])
        shape = [1, 1, 1]
        shape[axis] = -1
        values = np.add.reduceat(values, edges, axis=axis) / counts.reshape(shape)
    flat = values.ravel() - values.mean()
    return np.asarray(flat / max(float(flat.std()), 1e-6), dtype=np.float32)

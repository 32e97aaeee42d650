"""Which patients train, which tell when to stop, and which are kept for the end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from SegAnyPETLib.errors import InputError, SegAnyPETError
from SegAnyPETLib.finetune.cohort.cases import load_case
from SegAnyPETLib.finetune.cohort.manifest import CohortEntry, Manifest, Split
from SegAnyPETLib.finetune.config import FEWEST_CASES

SIZE_BINS_ML = (1.0, 5.0, 20.0)  # methods: below 1, 1 to 5, 5 to 20, above 20 ml


def size_bin(volume_ml: float) -> int:
    """0 to 3: below 1 ml, up to 5, up to 20, and more."""
    return int(np.searchsorted(SIZE_BINS_ML, volume_ml, side="right"))


def propose_splits(
    manifest: Manifest,
    *,
    seed: int,
    validation_share: float = 0.2,
    test_share: float = 0.0,
    volumes_ml: Mapping[str, float] | None = None,
) -> Manifest:
    """Assign every patient, with all cases, to one split.

    Validation and test are drawn from patients all of whose labels are HQ, since results are measured on them, and
    evenly over the sizes of lesions. At least three such patients stay in training, which CPCL needs. Where they are
    too few, fewer or none are drawn, and a note says so.

    Args:
        manifest: Its own splits do not matter.
        seed: Decides; the same seed and cohort give the same splits.
        validation_share: Of the patients, 0 to below 1.
        test_share: Likewise; both together stay below 1.
        volumes_ml: Of all lesions by case; the cases are opened for it where None.

    Returns:
        The same cases with new splits, and notes.

    Raises:
        InputError: The shares are not allowed.
    """
    if min(validation_share, test_share) < 0 or validation_share + test_share >= 1:
        msg = (
            f"Expected shares of at least 0 that together stay below 1; found {validation_share} for validation and "
            f"{test_share} for test."
        )
        raise InputError(msg)
    patients = _patients(manifest, volumes_ml or _volumes(manifest))
    careful = [patient for patient in patients if patient.is_careful]
    wanted = {"validation": round(validation_share * len(patients)), "test": round(test_share * len(patients))}
    for split, share in (("validation", validation_share), ("test", test_share)):
        wanted[split] = max(wanted[split], 1) if share and len(patients) > 1 else 0
    given, notes = _as_many_as_there_are(wanted, len(careful), len(patients))
    order = _spread(np.random.default_rng(seed), careful)
    drawn = order[: given["validation"] + given["test"]]
    # In turn, so that both get all sizes.
    turns = _turns(given)
    chosen: dict[str, Split] = {patient.name: split for patient, split in zip(drawn, turns, strict=True)}
    entries = tuple(replace(entry, split=chosen.get(entry.patient, "train")) for entry in manifest.entries)
    return Manifest(entries, (*manifest.notes, *notes))


@dataclass(frozen=True)
class _Patient:
    name: str
    is_careful: bool
    size: int


def _patients(manifest: Manifest, volumes_ml: Mapping[str, float]) -> list[_Patient]:
    own: dict[str, list[CohortEntry]] = defaultdict(list)
    for entry in manifest.entries:
        own[entry.patient].append(entry)
    return [
        _Patient(
            name,
            all(entry.quality == "HQ" for entry in entries),
            size_bin(max(volumes_ml.get(entry.case, 0.0) for entry in entries)),
        )
        for name, entries in sorted(own.items())
    ]


def _volumes(manifest: Manifest) -> dict[str, float]:
    """By case; 0 where it cannot be opened, which the checker says."""
    found = {}
    for entry in manifest.entries:
        try:
            found[entry.case] = load_case(entry).volume_ml
        except SegAnyPETError:
            found[entry.case] = 0.0
    return found


def _as_many_as_there_are(wanted: dict[str, int], careful: int, patients: int) -> tuple[dict[str, int], list[str]]:
    """Patients for validation and test, validation first, and what to say where they are fewer than wanted."""
    free = max(0, careful - FEWEST_CASES)
    validation = min(wanted["validation"], free)
    given = {"validation": validation, "test": min(wanted["test"], free - validation)}
    notes = []
    for split in ("validation", "test"):
        if given[split] < wanted[split]:
            notes.append(
                f"Only {given[split]} of {wanted[split]} patients wanted for {split} were drawn: of {patients} "
                f"patients {careful} have careful (HQ) labels throughout, and {FEWEST_CASES} of them stay in "
                "training. Correct more labels, or choose by hand."
            )
    return given, notes


def _spread(rng: np.random.Generator, patients: Sequence[_Patient]) -> list[_Patient]:
    """All patients in an order whose every beginning has the sizes in about the shares of the whole."""
    by_size: dict[int, list[_Patient]] = defaultdict(list)
    for patient in patients:
        by_size[patient.size].append(patient)
    placed = []
    for size in sorted(by_size):
        group = by_size[size]
        for n, which in enumerate(rng.permutation(len(group))):
            placed.append(((n + 0.5 + 0.2 * rng.uniform(-1, 1)) / len(group), group[int(which)]))
    return [patient for _, patient in sorted(placed, key=lambda pair: (pair[0], pair[1].name))]


def _turns(given: dict[str, int]) -> list[Split]:
    """So many of each, evenly mixed."""
    places: list[tuple[float, Split]] = [
        ((n + 0.5) / given["validation"], "validation") for n in range(given["validation"])
    ]
    places += [((n + 0.5) / given["test"], "test") for n in range(given["test"])]
    return [split for _, split in sorted(places)]

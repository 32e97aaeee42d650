"""What came of a collection, study by study, against what should have come."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from study_collection import SUV_TOLERANCE, ExpectedStudy

from SegAnyPETLib.batch.journal import JournalRow

STORED_POSITION_MM = 8.0  # the largest voxel may lie half a voxel diagonal outside of the ball
SUV_MAX, SUV_MAX_AT = "suvbw_max_g_per_ml", tuple(f"max_{axis}_lps_mm" for axis in "xyz")


@dataclass(frozen=True)
class Compared:
    """One study.

    Attributes:
        name: Of the study in the collection.
        kind: Its fault, or sound.
        style: Header style.
        state: As found; absent where the journal has no such study.
        reason: As found.
        attempts: How often it was begun.
        lesions: Found, and put in.
        largest_suv_error: Of SUVmax, relative, over the lesions; None where there are none.
        volume_ratios: Found volume / true volume of each lesion that was found.
        faults: What is not as it should be; empty where all is.
    """

    name: str
    kind: str
    style: str
    state: str
    reason: str
    attempts: int
    lesions: tuple[int, int]
    largest_suv_error: float | None
    volume_ratios: tuple[float, ...]
    faults: tuple[str, ...]


def compare(
    expected: Sequence[ExpectedStudy],
    rows: Iterable[JournalRow],
    lesion_rows: Mapping[str, Sequence[Mapping[str, str]]],
) -> list[Compared]:
    """Compare every study.

    Args:
        expected: Those of the collection.
        rows: Those of the journal.
        lesion_rows: Study key -> its lines of the table of lesions, see `read_lesions`.
    """
    rows = list(rows)
    by_key = defaultdict(list)
    for row in rows:
        by_key[row.key].append(row)
    patients = {row.key: row.patient_key for row in rows}
    return [_compare_one(study, [r for key in study.keys for r in by_key[key]], lesion_rows) for study in expected] + [
        _unexpected(row) for row in rows if not any(row.key in study.keys for study in expected)
    ] + _wrong_patients(expected, patients)  # fmt: skip


def read_lesions(path: Path) -> dict[str, list[dict[str, str]]]:
    """The table of lesions, by study."""
    found = defaultdict(list)
    if path.is_file():
        with path.open(newline="", encoding="utf-8-sig") as stream:
            for row in csv.DictReader(stream):
                found[row["study_key"]].append(row)
    return dict(found)


def as_text(compared: Sequence[Compared]) -> str:
    """A table by kind: how many, in which states, one reason, and then every study that is not as it should be."""
    by_kind = defaultdict(list)
    for each in compared:
        by_kind[each.kind].append(each)
    lines = [f"{'kind':22}{'studies':>8}  {'outcome':28}{'as expected':>12}  reason of the first"]
    for kind, some in sorted(by_kind.items(), key=lambda item: (item[0] != "sound", item[0])):
        states = ", ".join(f"{count} {state}" for state, count in Counter(each.state for each in some).items())
        right = sum(not each.faults for each in some)
        lines.append(f"{kind:22}{len(some):>8}  {states:28}{right:>12}  {some[0].reason[:110]}")
    found = sum(each.lesions[0] for each in compared if each.state == "done")
    put_in = sum(each.lesions[1] for each in compared)
    ratios = [ratio for each in compared for ratio in each.volume_ratios]
    errors = [each.largest_suv_error for each in compared if each.largest_suv_error is not None]
    lines += ["", f"Lesions found {found}, put in {put_in}."]
    if ratios:
        middle = ", ".join(f"{value:.2f}" for value in np.percentile(ratios, (5, 50, 95)))
        lines.append(
            f"Found volume / true volume, 5, 50 and 95 %: {middle}; largest error of SUVmax {max(errors):.1e}."
        )
    wrong = [each for each in compared if each.faults]
    lines += ["", f"Not as expected: {len(wrong)}"]
    lines += [f"  {each.name} ({each.kind}; {each.style}): {'; '.join(each.faults)}" for each in wrong]
    return "\n".join(lines)


def as_plain(compared: Sequence[Compared]) -> list[dict[str, object]]:
    """For JSON."""
    return [asdict(each) for each in compared]


def _compare_one(
    study: ExpectedStudy, rows: Sequence[JournalRow], lesion_rows: Mapping[str, Sequence[Mapping[str, str]]]
) -> Compared:
    faults = []
    row = rows[0] if rows else None
    state, reason = (row.state, row.reason) if row is not None else ("absent", "")
    if len(rows) > 1:
        faults.append(f"{len(rows)} rows in the journal")
    if state != study.state:
        faults.append(f"{state} instead of {study.state}: {reason}")
    missing = [word for word in study.words if word.casefold() not in reason.casefold()]
    if missing and state == study.state:
        faults.append(f"the reason does not speak of {', '.join(missing)}: {reason}")
    lesions = lesion_rows.get(row.key, ()) if row is not None else ()
    error, ratios = None, ()
    if state == "done":
        error, ratios, more = _compare_lesions(study, lesions)
        faults += more
        if row is not None and row.lesions != len(lesions):
            faults.append(f"{row.lesions} lesions in the journal, {len(lesions)} in the table")
    elif lesions:
        faults.append(f"{len(lesions)} lesions in the table of a study that is not done")
    return Compared(
        name=study.recipe.name,
        kind=study.kind,
        style=str(study.recipe.style),
        state=state,
        reason=reason,
        attempts=row.attempts if row is not None else 0,
        lesions=(len(lesions), len(study.lesions)),
        largest_suv_error=error,
        volume_ratios=tuple(ratios),
        faults=tuple(faults),
    )


def _compare_lesions(
    study: ExpectedStudy, rows: Sequence[Mapping[str, str]]
) -> tuple[float | None, list[float], list[str]]:
    faults, errors, ratios = [], [], []
    if len(rows) != len(study.lesions):
        faults.append(f"{len(rows)} lesions instead of {len(study.lesions)}")
    for number, lesion in enumerate(study.lesions, start=1):
        near = [
            row for row in rows if _distance_mm(row, lesion.centre_lps_mm) < lesion.diameter_mm / 2 + STORED_POSITION_MM
        ]
        if len(near) != 1:
            faults.append(f"{len(near)} results at lesion {number}")
            continue
        errors.append(abs(float(near[0][SUV_MAX]) / lesion.suv_max - 1))
        ratios.append(float(near[0]["volume_ml"]) / lesion.volume_ml)
        if errors[-1] > SUV_TOLERANCE:
            faults.append(f"SUVmax {float(near[0][SUV_MAX]):.3f} instead of {lesion.suv_max:.3f} at lesion {number}")
    return max(errors, default=None), ratios, faults


def _distance_mm(row: Mapping[str, str], centre_lps_mm: tuple[float, float, float]) -> float:
    return float(np.linalg.norm(np.subtract([float(row[name]) for name in SUV_MAX_AT], centre_lps_mm)))


def _unexpected(row: JournalRow) -> Compared:
    return _stray(row.key, f"a study of the journal that was never made: {row.state} {row.reason}")


def _wrong_patients(expected: Sequence[ExpectedStudy], patients: Mapping[str, str]) -> list[Compared]:
    """Studies of one patient must share a key, those of two must not."""
    seen: dict[str, set[str]] = defaultdict(set)
    owners: dict[str, set[str]] = defaultdict(set)
    for study in expected:
        for key in study.keys & set(patients):
            if study.kind != "mixed patients":
                seen[study.recipe.patient_id].add(patients[key])
                owners[patients[key]].add(study.recipe.patient_id)
    several = [f"{len(keys)} patient keys for one patient" for keys in seen.values() if len(keys) > 1]
    shared = [f"one patient key for {len(names)} patients" for names in owners.values() if len(names) > 1]
    return [_stray("patients", fault) for fault in (*several, *shared)]


def _stray(name: str, fault: str) -> Compared:
    return Compared(name, "unexpected", "", "", "", 0, (0, 0), None, (), (fault,))

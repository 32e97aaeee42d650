"""The tables over all studies, as CSV for people and as Parquet with types, units and meanings for statistics."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from SegAnyPETLib.batch.results.columns import ColumnType, column_type, meaning_of, ordered_columns, unit_of
from SegAnyPETLib.batch.results.lesion_rows import Row, Value, lesion_columns
from SegAnyPETLib.batch.results.patient_rows import patient_columns
from SegAnyPETLib.batch.results.study_folder import StudyJSON, read_study_json
from SegAnyPETLib.data import write_atomically
from SegAnyPETLib.errors import InputError, OutputError
from SegAnyPETLib.suv.volume import SUV_UNITS

LESIONS, PATIENTS, STUDIES = "lesions", "patients", "studies"
DONE = "done"
STUDY_COLUMNS = (
    "study_key",
    "patient_key",
    "state",
    "reason",
    "lesion_count",
    "physiological_count",
    "corrected_count",
    "seconds_total",
)
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write_tables(out: Path | str, folders: Iterable[Path], failures: Sequence[Mapping[str, Any]] = ()) -> None:
    """Write `lesions` and `patients` as .csv and .parquet, and `studies.csv`, in place of older ones.

    A study without a lesion has a line among the patients, with zeros. Lines are in the order of patient, study and
    lesion whatever the order of `folders`. CSV and Parquet hold the same values; only text that a spreadsheet would
    run as a formula starts with an apostrophe in CSV.

    Args:
        out: An existing folder.
        folders: Of the studies that are done.
        failures: The others, each with ``key``, ``state`` and ``reason``; ``patient_key`` where it is known.

    Raises:
        InputError: A folder holds no result.
        OutputError: The studies are of different SUV kinds, two folders are of one study, or a file cannot be written.
    """
    out = Path(out)
    studies = sorted((read_study_json(folder) for folder in folders), key=_order)
    kind = _one_kind(studies)
    patients: list[Row] = [study["patient"] for study in studies]
    lesions: list[Row] = [row for study in studies for row in study["lesions"]]
    for name, rows, fixed in (
        (LESIONS, lesions, lesion_columns(kind)),
        (PATIENTS, patients, patient_columns(kind)),
    ):
        columns = ordered_columns(fixed, rows)
        types = {column: column_type(column, [row.get(column) for row in rows]) for column in columns}
        typed = [{column: _as_type(row.get(column), types[column]) for column in columns} for row in rows]
        _write_parquet(out / f"{name}.parquet", typed, types)
        _write_csv(out / f"{name}.csv", typed, columns)
    _write_csv(out / f"{STUDIES}.csv", _study_rows(patients, failures), STUDY_COLUMNS)


def _order(study: StudyJSON) -> tuple[str, str]:
    return str(study["patient"].get("patient_key")), str(study["key"])


def _one_kind(studies: Sequence[StudyJSON]) -> Any:  # an SUVKind, checked here
    kinds = sorted({str(study["patient"].get("suv_kind")) for study in studies}) or ["bw"]
    keys = [study["key"] for study in studies]
    if len(kinds) > 1 or kinds[0] not in SUV_UNITS:
        msg = f"Expected studies of one SUV kind in a table; found {', '.join(kinds)}. Write them to different folders."
        raise OutputError(msg)
    if len(set(keys)) < len(keys):
        double = next(key for key in keys if keys.count(key) > 1)
        msg = f"Expected each study once; found {double} in several folders. Leave all but one out."
        raise OutputError(msg)
    return kinds[0]


def _study_rows(patients: Sequence[Row], failures: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Every study with its state; one that has failed and left an older result is told by its failure."""
    failed: dict[str, Row] = {}
    for failure in failures:
        row = {"study_key": str(failure["key"]), "state": str(failure["state"]), "reason": str(failure["reason"])}
        failed[str(failure["key"])] = {**row, "patient_key": failure.get("patient_key") or None}
    rows = list(failed.values())
    for patient in patients:
        if patient["study_key"] not in failed:
            counted = {"lesion_count": patient["lesion_count_all"], "state": DONE}
            rows.append({name: {**patient, **counted}.get(name) for name in STUDY_COLUMNS})
    return sorted(rows, key=lambda row: (str(row.get("patient_key") or "~"), str(row["study_key"])))


def _as_type(value: Value, kind: ColumnType) -> Value:
    if value is None:
        return None
    wanted = {"text": str, "number": float, "integer": int, "yes or no": bool}[kind]
    if isinstance(value, wanted) or (kind == "number" and isinstance(value, int)) or kind == "text":
        converted: Value = wanted(value)
        return converted
    msg = f"Expected {kind} in a table; found {type(value).__name__} in the results of a study. Run it again."
    raise InputError(msg)


def _write_parquet(path: Path, rows: Sequence[Row], types: Mapping[str, ColumnType]) -> None:
    import pyarrow
    from pyarrow import parquet

    arrow = {
        "text": pyarrow.string(),
        "number": pyarrow.float64(),
        "integer": pyarrow.int64(),
        "yes or no": pyarrow.bool_(),
    }
    fields = []
    for name, kind in types.items():
        known = {"unit": unit_of(name), "meaning": meaning_of(name)}
        fields.append(pyarrow.field(name, arrow[kind], metadata={key: text for key, text in known.items() if text}))
    table = pyarrow.Table.from_pylist(list(rows), schema=pyarrow.schema(fields))
    with write_atomically(path) as temporary:
        parquet.write_table(table, temporary)


def _write_csv(path: Path, rows: Sequence[Row], columns: Sequence[str]) -> None:
    with write_atomically(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _cell(row.get(name)) for name in columns} for row in rows)


def _cell(value: Value) -> str:
    """Every digit of a number, so that CSV and Parquet agree; a text never as a formula."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA_STARTS) else value
    return repr(value)

"""Clicks and boxes in a table, CSV or JSON, in LPS mm.

    study,lesion,x,y,z,positive
    1.2.826.0.1,Lesion 1,-62.5,10.0,-35.0,1
    1.2.826.0.1,Lesion 1,-80.0,10.0,-35.0,0

A row with x1, y1, z1, x2, y2, z2 instead is a box. `study` is a Study Instance UID, a key of this program, or the name
of a folder of the study; without that column the table is for one study. `lesion` may be left out: each row is then a
lesion. `positive` is 1 (the default) or 0. JSON holds the same fields: a list of rows, or {"prompts": [rows]}.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from SegAnyPETLib.batch.prompting.gathered import GatheredLesion
from SegAnyPETLib.data.bounded_text import read_bounded_text
from SegAnyPETLib.errors import InputError, PromptError
from SegAnyPETLib.session.prompts import Box, Point

MOST_ROWS = 200_000
POINT_COLUMNS = ("x", "y", "z")
BOX_COLUMNS = ("x1", "y1", "z1", "x2", "y2", "z2")
COLUMNS = ("study", "lesion", *POINT_COLUMNS, "positive", *BOX_COLUMNS)
_YES, _NO = ("", "1", "1.0", "true", "yes", "+", "positive"), ("0", "0.0", "false", "no", "-", "negative")


@dataclass(frozen=True)
class PromptRow:
    """One row.

    Attributes:
        number: In the file, the first one 1.
        study: As written; empty where the table does not say.
        lesion: As written; empty where the table does not say.
        prompt: The click or box.
    """

    number: int
    study: str
    lesion: str
    prompt: Point | Box

    def as_lesion(self) -> GatheredLesion:
        """A lesion with this prompt."""
        return GatheredLesion(self.lesion or f"Lesion {self.number}", (self.prompt,), "prompt table")


def read_prompt_table(path: Path) -> list[PromptRow]:
    """All rows of a table.

    Raises:
        InputError: The file is no such table, too large, or a row is not a click or box.
    """
    text = read_bounded_text(path, what="a prompt file")
    rows = _json_rows(text) if path.suffix.lower() == ".json" else _csv_rows(text)
    if len(rows) > MOST_ROWS:
        msg = f"Expected at most {MOST_ROWS} rows in a prompt table; found {len(rows)}. Split it."
        raise InputError(msg)
    return [_row(fields, number) for number, fields in enumerate(rows, start=1)]


def _csv_rows(text: str) -> list[dict[str, str]]:
    header, _, _ = text.partition("\n")
    delimiter = max(",;\t", key=header.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        _check_columns([str(name).strip().lower() for name in reader.fieldnames or ()])
        rows = []
        for values in reader:
            row = {str(name).strip().lower(): value for name, value in values.items() if name is not None}
            if None in values or None in row.values():
                msg = f"Expected as many fields as the header has; line {reader.line_num} has another number."
                raise InputError(msg)
            if delimiter == ";":  # written where the comma is the decimal sign
                row = {n: v if n in ("study", "lesion") else v.replace(",", ".") for n, v in row.items()}
            if any(value.strip() for value in row.values()):
                rows.append(row)
    except csv.Error as error:
        msg = f"Expected a CSV table; found something else near line {reader.line_num} ({error})."
        raise InputError(msg) from error
    return rows


def _json_rows(text: str) -> list[dict[str, str]]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        msg = f"Expected a prompt table in JSON; found text that is none ({error})."
        raise InputError(msg) from error
    rows = content.get("prompts") if isinstance(content, dict) else content
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        msg = "Expected a list of rows, or an object with the list 'prompts'; found other JSON."
        raise InputError(msg)
    found = []
    for row in rows:
        fields = {str(name).strip().lower(): value for name, value in row.items()}
        _check_columns(list(fields))
        found.append({name: "" if value is None else str(value) for name, value in fields.items()})
    return found


def _check_columns(names: Sequence[str]) -> None:
    unknown = [name for name in names if name not in COLUMNS]
    if unknown or not (set(POINT_COLUMNS) <= set(names) or set(BOX_COLUMNS) <= set(names)):
        msg = (
            f"Expected columns among {', '.join(COLUMNS)} (positions in LPS mm), with x, y, z or x1 to z2; "
            f"found {', '.join(map(repr, names)) or 'none'}."
        )
        raise InputError(msg)


def _row(fields: Mapping[str, str], number: int) -> PromptRow:
    has_point, has_box = (any(fields.get(n, "").strip() for n in names) for names in (POINT_COLUMNS, BOX_COLUMNS))
    if has_point == has_box:
        msg = f"Expected either x, y, z or x1 to z2 in row {number}; found {'both' if has_point else 'neither'}."
        raise InputError(msg)
    try:
        if has_point:
            prompt: Point | Box = Point(_three(fields, POINT_COLUMNS, number), _is_positive(fields, number))
        else:
            prompt = Box(_three(fields, BOX_COLUMNS[:3], number), _three(fields, BOX_COLUMNS[3:], number))
    except PromptError as error:
        msg = f"Row {number} of the prompt table: {error}"
        raise InputError(msg) from error
    return PromptRow(number, fields.get("study", "").strip(), fields.get("lesion", "").strip(), prompt)


def _three(fields: Mapping[str, str], names: Sequence[str], number: int) -> tuple[float, float, float]:
    try:
        x, y, z = (float(fields.get(name, "")) for name in names)
    except ValueError as error:
        msg = f"Expected numbers in mm as {', '.join(names)} in row {number}; found {[fields.get(n) for n in names]}."
        raise InputError(msg) from error
    return x, y, z


def _is_positive(fields: Mapping[str, str], number: int) -> bool:
    word = fields.get("positive", "").strip().lower()
    if word not in _YES + _NO:
        msg = f"Expected 1 or 0 as 'positive' in row {number}; found {word!r}."
        raise InputError(msg)
    return word in _YES

"""The table of measures as CSV for spreadsheets and as JSON for programs."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from SegAnyPETLib.data import write_atomically
from SegAnyPETLib.errors import OutputError
from SegAnyPETLib.suv import LesionMeasures
from SegAnyPETLib.version import __version__

SCHEMA = "seganypet-measures/1"
DEFINITIONS = {
    "mtv": "number of voxels in the mask times the volume of one voxel",
    "mtv_low and mtv_high": "interval that holds the true volume in 90 % of cases unless stated; empty if uncalibrated",
    "score": "expected Dice of the mask for a calibrated model, else the model's own confidence",
    "suv_mean": "mean of the voxels in the mask",
    "suv_sd": "standard deviation of the voxels in the mask, divided by their number",
    "suv_peak": (
        "highest mean in a sphere of 1 ml (radius 6.2035 mm) whose centre lies in a voxel of the mask; voxels count by "
        "the part inside the sphere, the sphere may leave the mask, the centre is placed in steps of 0.25 mm or finer"
    ),
    "tlg": "suv_mean times mtv",
    "positions": "LPS in mm: x to the patient's left, y to posterior, z to the head",
}
Value = str | int | float | bool


@dataclass(frozen=True)
class MeasuresRow:
    """One segment in the table.

    Attributes:
        label: Its name.
        measures: What was measured.
        model: Name of the model that made the mask, or how else it came about.
        score: The model's confidence, 0 to 1, where it gave one.
        click_count: Prompts that led to the mask, where known.
        volume_interval_ml: Where the true volume is expected, where a calibrated model gave it.
    """

    label: str
    measures: LesionMeasures
    model: str = ""
    score: float | None = None
    click_count: int | None = None
    volume_interval_ml: tuple[float, float] | None = None

    def columns(self) -> dict[str, Value | None]:
        """Name with unit -> value, in the order of the table."""
        m = self.measures
        suv, unit = f"suv{m.kind}", m.suv_unit.replace("/", "_per_")
        columns: dict[str, Value | None] = {
            "label": self.label,
            "voxel_count": m.voxel_count,
            "volume_ml": m.volume_ml,
            "mtv_ml": m.mtv_ml,
            f"tlg_{m.tlg_unit}": m.tlg,
            f"{suv}_max_{unit}": m.suv_max,
            f"{suv}_mean_{unit}": m.suv_mean,
            f"{suv}_peak_{unit}": m.suv_peak,
            f"{suv}_sd_{unit}": m.suv_sd,
            f"{suv}_median_{unit}": m.suv_median,
            f"{suv}_min_{unit}": m.suv_min,
        }
        positions = {"centroid": m.centroid_lps_mm, "max": m.suv_max_lps_mm, "peak": m.suv_peak_lps_mm}
        for name, lps_mm in positions.items():
            columns |= {f"{name}_{axis}_lps_mm": value for axis, value in zip("xyz", lps_mm, strict=True)}
        return columns | {
            "peak_sphere_leaves_image": m.suv_peak_is_truncated,
            "score": self.score,
            "mtv_low_ml": self.volume_interval_ml[0] if self.volume_interval_ml else None,
            "mtv_high_ml": self.volume_interval_ml[1] if self.volume_interval_ml else None,
            "click_count": self.click_count,
            "model": self.model,
            "program": f"SegAnyPET {__version__}",
        }


def write_measures_csv(path: Path | str, rows: Sequence[MeasuresRow]) -> Path:
    """Write one line per segment, in UTF-8, with the unit in each column's name and a point as decimal sign.

    Raises:
        OutputError: There is no row, the rows are of different SUV kinds, or the file cannot be written.
    """
    table = [row.columns() for row in _of_one_kind(rows)]
    with write_atomically(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _text(value) for name, value in line.items()} for line in table)
    return Path(path)


def write_measures_json(path: Path | str, rows: Sequence[MeasuresRow]) -> Path:
    """Write the same values unrounded, with the definition of each measure and the sums over all segments.

    Segments that overlap count twice in the sums.

    Raises:
        OutputError: There is no row, the rows are of different SUV kinds, or the file cannot be written.
    """
    checked = _of_one_kind(rows)
    first = checked[0].measures
    content = {
        "schema": SCHEMA,
        "program": {"name": "SegAnyPET", "version": __version__},
        "suv_kind": first.kind,
        "definitions": DEFINITIONS,
        "segments": [row.columns() for row in checked],
        "totals": {
            "segment_count": len(checked),
            "mtv_ml": sum(row.measures.mtv_ml for row in checked),
            f"tlg_{first.tlg_unit}": sum(row.measures.tlg for row in checked),
        },
    }
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")
    return Path(path)


def _of_one_kind(rows: Sequence[MeasuresRow]) -> Sequence[MeasuresRow]:
    kinds = sorted({row.measures.kind for row in rows})
    if len(kinds) != 1:
        found = f"SUV kinds {', '.join(kinds)}" if kinds else "no row"
        msg = f"Expected a table of at least one segment, all of one SUV kind; found {found}. Write one file per kind."
        raise OutputError(msg)
    return rows


def _text(value: Value | None) -> str:
    """Seven digits: more than any measure is good for, and what single precision holds."""
    if value is None:
        return ""
    return f"{value:.7g}" if isinstance(value, float) else str(value)

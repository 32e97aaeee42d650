"""The table read back by the csv and json modules, against values written down by hand."""

from __future__ import annotations

import csv
import json

import pytest

from SegAnyPETLib.errors import OutputError
from SegAnyPETLib.report import MeasuresRow, write_measures_csv, write_measures_json
from SegAnyPETLib.suv import LesionMeasures
from SegAnyPETLib.version import __version__


def measures(kind="bw", suv_max=12.3456789012) -> LesionMeasures:
    return LesionMeasures(
        kind=kind,
        suv_unit="cm2/ml" if kind == "bsa" else "g/ml",
        voxel_count=321,
        volume_ml=10.5,
        mtv_ml=10.5,
        suv_max=suv_max,
        suv_max_lps_mm=(1.0, -2.0, 3.5),
        suv_mean=6.0,
        suv_sd=1.25,
        suv_median=5.75,
        suv_min=2.5,
        suv_peak=9.0,
        suv_peak_lps_mm=(1.5, -2.5, 4.0),
        suv_peak_is_truncated=False,
        tlg=63.0,
        tlg_unit="cm2" if kind == "bsa" else "g",
        centroid_lps_mm=(0.0, -1.0, 2.0),
    )


def rows() -> list[MeasuresRow]:
    return [
        MeasuresRow('Läsion "1", links', measures(), model="lite", score=0.875, click_count=2),
        MeasuresRow("Node", measures(suv_max=4.0)),
    ]


def test_the_csv_has_one_line_a_segment_and_units_in_its_names(tmp_path):
    path = write_measures_csv(tmp_path / "m.csv", rows())
    with path.open(newline="", encoding="utf-8") as stream:
        first, second = csv.DictReader(stream)
    assert first["label"] == 'Läsion "1", links'
    assert first["suvbw_max_g_per_ml"] == "12.34568"
    assert first["suvbw_peak_g_per_ml"] == "9"
    assert (first["mtv_ml"], first["tlg_g"], first["voxel_count"]) == ("10.5", "63", "321")
    assert (first["peak_x_lps_mm"], first["max_z_lps_mm"], first["centroid_y_lps_mm"]) == ("1.5", "3.5", "-1")
    assert (first["model"], first["program"]) == ("lite", f"SegAnyPET {__version__}")
    assert (first["score"], first["click_count"]) == ("0.875", "2")
    assert (second["score"], second["click_count"], second["model"]) == ("", "", "")


def test_surface_area_has_its_own_units(tmp_path):
    path = write_measures_csv(tmp_path / "m.csv", [MeasuresRow("a", measures("bsa"))])
    header = path.read_text("utf-8").splitlines()[0].split(",")
    assert "suvbsa_max_cm2_per_ml" in header
    assert "tlg_cm2" in header


def test_the_json_keeps_every_digit_the_definitions_and_the_sums(tmp_path):
    content = json.loads(write_measures_json(tmp_path / "m.json", rows()).read_text("utf-8"))
    assert content["schema"] == "seganypet-measures/1"
    assert content["suv_kind"] == "bw"
    assert content["segments"][0]["suvbw_max_g_per_ml"] == 12.3456789012
    assert content["segments"][1]["score"] is None
    assert content["totals"] == {"segment_count": 2, "mtv_ml": 21.0, "tlg_g": 126.0}
    assert "6.2035 mm" in content["definitions"]["suv_peak"]
    assert content["program"]["version"] == __version__


@pytest.mark.parametrize("write", [write_measures_csv, write_measures_json])
def test_no_rows_and_mixed_kinds_are_refused_and_leave_nothing(tmp_path, write):
    with pytest.raises(OutputError, match="found no row"):
        write(tmp_path / "m", [])
    with pytest.raises(OutputError, match="SUV kinds bsa, bw"):
        write(tmp_path / "m", [MeasuresRow("a", measures()), MeasuresRow("b", measures("bsa"))])
    with pytest.raises(OutputError, match="does not exist"):
        write(tmp_path / "no" / "m", rows())
    assert list(tmp_path.iterdir()) == []

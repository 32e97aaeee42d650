"""The tables: numbers worked out by hand, CSV and Parquet alike, the same whatever the order."""

from __future__ import annotations

import csv
import math

import numpy as np
import pyarrow.parquet as pq
import pytest
from hand_made_studies import ONLY_MASKS, VOXEL_ML, a_lesion, a_result, an_image, box_mask
from scipy.spatial.distance import pdist

from SegAnyPETLib.batch.results import write_study, write_tables
from SegAnyPETLib.batch.results.farthest import farthest_apart_mm, outermost_voxels_lps_mm
from SegAnyPETLib.batch.settings import BatchSettings
from SegAnyPETLib.errors import InputError, OutputError
from SegAnyPETLib.phantom import centred_grid


def written(tmp_path, results, settings=ONLY_MASKS):
    folders = []
    for result in results:
        folders.append(tmp_path / "studies" / result.study.key)
        write_study(folders[-1], result, settings=settings)
    return folders


def read_csv(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_lesions_and_burden_are_those_of_the_hand_sum(tmp_path, series):
    write_tables(tmp_path, written(tmp_path, [a_result(series)]))
    first, second, normal = pq.read_table(tmp_path / "lesions.parquet").to_pylist()
    assert [row["lesion_number"] for row in (first, second, normal)] == [1, 2, 3]
    assert (first["voxel_count"], second["voxel_count"], normal["voxel_count"]) == (12, 8, 1)
    assert first["suvbw_max_g_per_ml"] == 10.0
    assert first["suvbw_mean_g_per_ml"] == pytest.approx(54 / 12)
    assert first["mtv_ml"] == pytest.approx(12 * VOXEL_ML)
    assert first["tlg_g"] == pytest.approx(54 * VOXEL_ML)
    centroid = series.grid.kji_to_lps((1.5, 2.5, 4.0))
    assert [first[f"centroid_{axis}_lps_mm"] for axis in "xyz"] == pytest.approx(list(centroid))
    assert (first["mtv_low_ml"], first["mtv_high_ml"], second["mtv_low_ml"]) == (0.5, 1.5, None)
    assert [row["is_physiological"] for row in (first, second, normal)] == [False, False, True]
    assert normal["physiology"] == "urinary bladder: low in the pelvis"
    assert (second["label"], second["notices"]) == ("Knoten 22 (µ)", "A click was moved.")
    assert (first["rule_threshold_suvbw_g_per_ml"], first["fact_seed_suvbw_g_per_ml"]) == (4.0, 4.5)

    (patient,) = pq.read_table(tmp_path / "patients.parquet").to_pylist()
    # Twelve and eight voxels share one: nineteen, of which one is 10 and the others 4.
    assert patient["lesion_count_without_physiological"] == 2
    assert patient["mtv_without_physiological_ml"] == pytest.approx(19 * VOXEL_ML)
    assert patient["tlg_without_physiological_g"] == pytest.approx((18 * 4 + 10) * VOXEL_ML)
    assert patient["suvbw_mean_without_physiological_g_per_ml"] == pytest.approx(82 / 19)
    assert patient["suvbw_max_without_physiological_g_per_ml"] == 10.0
    assert patient["dmax_centroids_without_physiological_mm"] == pytest.approx(math.hypot(5.7, 3.2, 1.5 * 4.1))
    assert patient["dmax_voxels_without_physiological_mm"] == pytest.approx(math.hypot(2 * 5.7, 2 * 3.2, 3 * 4.1))
    assert (patient["lesion_count_all"], patient["physiological_count"]) == (3, 1)
    assert patient["mtv_all_ml"] == pytest.approx(20 * VOXEL_ML)
    assert patient["tlg_all_g"] == pytest.approx(102 * VOXEL_ML)
    assert patient["dmax_centroids_all_mm"] == pytest.approx(math.hypot(5.5 * 5.7, 8.5 * 3.2, 5 * 4.1))
    assert patient["dmax_voxels_all_mm"] == pytest.approx(math.hypot(6 * 5.7, 9 * 3.2, 6 * 4.1))
    assert (patient["seconds_total"], patient["seconds_reading"]) == (3.5, 1.0)
    assert (patient["model"], patient["not_found"]) == ("lite", "Gone")


def test_csv_and_parquet_hold_the_same_values_with_types_and_units(tmp_path, series):
    empty = a_result(series, (), study="1.2.9")
    write_tables(tmp_path, written(tmp_path, [a_result(series), empty]))
    for name, count in (("lesions", 3), ("patients", 2)):
        table, lines = pq.read_table(tmp_path / f"{name}.parquet"), read_csv(tmp_path / f"{name}.csv")
        assert len(lines) == table.num_rows == count
        assert list(lines[0]) == table.column_names
        for line, row in zip(lines, table.to_pylist(), strict=True):
            for column, value in row.items():
                if value is None:
                    assert line[column] == ""
                elif isinstance(value, bool):
                    assert line[column] == str(value).lower()
                else:
                    assert type(value)(line[column]) == value, column
    schema = pq.read_schema(tmp_path / "lesions.parquet")
    kinds = {
        "label": ("string", None),
        "voxel_count": ("int64", None),
        "is_corrected": ("bool", None),
        "mtv_ml": ("double", b"ml"),
        "tlg_g": ("double", b"g"),
        "suvbw_peak_g_per_ml": ("double", b"g/ml"),
        "centroid_x_lps_mm": ("double", b"mm"),
        "rule_threshold_suvbw_g_per_ml": ("double", b"g/ml"),
    }
    for name, (kind, unit) in kinds.items():
        field = schema.field(name)
        assert (str(field.type), (field.metadata or {}).get(b"unit")) == (kind, unit), name


def test_a_study_without_a_lesion_has_a_line_of_zeros(tmp_path, series):
    folders = written(tmp_path, [a_result(series, ())], BatchSettings(formats=("seg", "rtstruct", "nifti", "png")))
    assert sorted(path.name for path in folders[0].iterdir()) == ["page.png", "study.json"]
    write_tables(tmp_path, folders)
    assert read_csv(tmp_path / "lesions.csv") == []
    (line,) = read_csv(tmp_path / "patients.csv")
    for name in ("lesion_count_all", "mtv_all_ml", "tlg_without_physiological_g", "dmax_centroids_all_mm"):
        assert float(line[name]) == 0, name
    assert line["suvbw_max_all_g_per_ml"] == ""
    assert "cannot be empty" in line["notes"]


def test_one_lesion_has_no_distance_between_lesions(tmp_path, series):
    image = an_image(series)
    lesions = (a_lesion(image, box_mask((1, 2, 3), (1 + 1, 2 + 1, 3 + 3)), "One"),)
    write_tables(tmp_path, written(tmp_path, [a_result(series, lesions)]))
    (patient,) = pq.read_table(tmp_path / "patients.parquet").to_pylist()
    assert patient["dmax_centroids_all_mm"] == 0.0
    assert patient["dmax_voxels_all_mm"] == pytest.approx(2 * 4.1)


def test_the_order_of_the_studies_does_not_matter(tmp_path, series):
    other = a_lesion(an_image(series), box_mask((4, 1, 1), (5, 2, 4)), "Other", asked={"facts": {"distance_mm": 3}})
    results = [
        a_result(series),
        a_result(series, (), study="1.2.9", patient="0b"),
        a_result(series, (other,), study="5"),
    ]
    folders = written(tmp_path, results)
    contents = []
    for chosen in (folders, folders[::-1]):
        write_tables(tmp_path, chosen, [{"key": "k", "state": "failed", "reason": "no PET"}])
        contents.append([path.read_bytes() for path in sorted(tmp_path.glob("*.[cp]*"))])
    assert len(contents[0]) == 5
    assert contents[0] == contents[1]
    keys = [line["study_key"] for line in read_csv(tmp_path / "patients.csv")]
    assert keys[0] == results[1].study.key


def test_failed_studies_are_listed_with_their_reason(tmp_path, series):
    folders = written(tmp_path, [a_result(series)])
    failures = [{"key": "dead", "state": "failed", "reason": 'No PET, "none"\nat all', "kind": "DICOMError"}]
    write_tables(tmp_path, folders, failures)
    done, failed = read_csv(tmp_path / "studies.csv")
    assert (done["state"], done["lesion_count"], done["study_key"]) == ("done", "3", folders[0].name)
    assert (failed["study_key"], failed["state"], failed["reason"]) == ("dead", "failed", 'No PET, "none"\nat all')
    write_tables(tmp_path, [], failures)  # nothing done yet
    assert read_csv(tmp_path / "patients.csv") == []
    assert len(read_csv(tmp_path / "studies.csv")) == 1


def test_a_text_is_no_formula_for_a_spreadsheet(tmp_path, series):
    lesion = a_lesion(an_image(series), box_mask((1, 2, 3), (2, 3, 4)), '=HYPERLINK("http://x")')
    write_tables(tmp_path, written(tmp_path, [a_result(series, (lesion,))]))
    assert read_csv(tmp_path / "lesions.csv")[0]["label"] == '\'=HYPERLINK("http://x")'
    assert pq.read_table(tmp_path / "lesions.parquet")["label"][0].as_py() == '=HYPERLINK("http://x")'


def test_studies_of_different_suv_kinds_do_not_go_into_one_table(tmp_path, series):
    lean = an_image(series, "lbm")
    results = [a_result(series), a_result(series, (), study="1.2.9", image=lean)]
    folders = written(tmp_path, results)
    with pytest.raises(OutputError, match="bw, lbm"):
        write_tables(tmp_path, folders)
    assert not (tmp_path / "lesions.csv").exists()
    write_tables(tmp_path, folders[1:])
    assert "suvlbm_peak_g_per_ml" in pq.read_schema(tmp_path / "lesions.parquet").names


def test_a_folder_without_a_result_or_given_twice_is_refused(tmp_path, series):
    folders = written(tmp_path, [a_result(series)])
    with pytest.raises(OutputError, match="once"):
        write_tables(tmp_path, folders * 2)
    with pytest.raises(InputError, match=r"study\.json"):
        write_tables(tmp_path, [tmp_path / "nothing"])


def test_the_farthest_voxels_are_those_of_all_pairs():
    grid = centred_grid((14, 11, 17), (4.1, 3.2, 5.7), centre_lps_mm=(-88.0, 45.0, 1203.0), orientation="oblique")
    random = np.random.default_rng(7)
    for share in (0.002, 0.05, 0.6):
        masks = [random.random(grid.shape_kji) < share for _ in range(3)]
        every = grid.kji_to_lps(np.argwhere(np.logical_or.reduce(masks)))
        assert farthest_apart_mm(outermost_voxels_lps_mm(masks, grid=grid)) == pytest.approx(pdist(every).max())
    flat = np.zeros(grid.shape_kji, bool)
    flat[5] = True  # has no hull in space
    every = grid.kji_to_lps(np.argwhere(flat))
    assert farthest_apart_mm(every) == pytest.approx(pdist(every).max())
    assert farthest_apart_mm(np.tile(every, (5, 1))) == pytest.approx(pdist(every).max())
    assert farthest_apart_mm(every[:1]) == farthest_apart_mm(every[:0]) == 0.0

"""Which PET series of a study is segmented, and when a person must choose."""

from __future__ import annotations

import numpy as np
import pytest
from pet_dicom_builder import DELETED, oblique_axes
from study_folders import add_ct, add_series, series_uid, study_uid

from SegAnyPETLib.batch.finding import find_studies
from SegAnyPETLib.batch.study import hashed

NOT_CORRECTED = {"CorrectedImage": ["NORM", "DECY"]}


def only_study(folder, **options):
    (study,) = find_studies([folder], workspace=folder.parent / "unused", **options)
    return study


def test_the_only_pet_series_is_taken_and_the_reason_said(tmp_path):
    files = add_series(tmp_path / "PET", 1)
    study = only_study(tmp_path)
    assert study.study_instance_uid == study_uid(1)
    assert study.pet.series_instance_uid == series_uid(1)
    assert sorted(study.pet.files) == sorted(files)
    assert study.choice == "The only PET series. No CT in the study."
    assert (study.doubts, study.problems, study.study_date) == ((), (), "20250101")


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        (NOT_CORRECTED, "1 not attenuation corrected"),
        ({"SeriesType": ["GATED", "IMAGE"]}, "1 gated, dynamic or with doubled slices"),
        ({"SeriesType": ["DYNAMIC", "IMAGE"]}, "1 gated, dynamic or with doubled slices"),
        ({"ImagePositionPatient": ["1", "2", "3"]}, "1 gated, dynamic or with doubled slices"),
        ({"ImageType": ["DERIVED", "SECONDARY"], "SeriesDescription": "WB MIP"}, "1 projection(s)"),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "1 derived capture(s)"),
        ({"ImagePositionPatient": DELETED}, "1 derived capture(s)"),
        ({"SamplesPerPixel": 3}, "1 derived capture(s)"),
        ({"ImageType": ["DERIVED", "PRIMARY"]}, "1 derived from another"),
        ({"count": 1}, "1 that are no stack of slices"),
        (
            {"ImageOrientationPatient": lambda k: [f"{np.cos(k):.6f}", f"{np.sin(k):.6f}", "0", "0", "0", "-1"]},
            "1 that are no stack of slices",
        ),
    ],
)
def test_a_series_that_is_no_corrected_static_volume_is_left_aside(tmp_path, tags, reason):
    add_series(tmp_path / "bad", 1, **tags)
    add_series(tmp_path / "good", 2)
    study = only_study(tmp_path)
    assert study.pet.series_instance_uid == series_uid(2)
    assert f"left aside {reason}" in study.choice
    assert not study.doubts


@pytest.mark.parametrize(
    "tags", [{"ImageType": ["ORIGINAL", "PRIMARY", "MIP"]}, {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}]
)
def test_projections_and_secondary_captures_are_never_a_series(tmp_path, tags):
    add_series(tmp_path / "a", 1, **tags)
    study = only_study(tmp_path)
    assert study.pet is None
    assert "There is no PET series; found 5 PT" in study.problems[0]


def test_a_whole_body_goes_before_a_part_of_it(tmp_path):
    add_series(tmp_path / "head", 1, count=4)
    add_series(tmp_path / "body", 2, count=9)
    study = only_study(tmp_path)
    assert study.pet.series_instance_uid == series_uid(2)
    assert "1 of a part of the body" in study.choice


def test_two_reconstructions_are_a_doubt_that_describes_both(tmp_path):
    add_series(tmp_path / "a", 1, SeriesDescription="OSEM", SeriesTime="110102")
    add_series(tmp_path / "b", 2, SeriesDescription="TrueX TOF", Units="GML")
    study = only_study(tmp_path)
    assert study.pet is None
    assert not study.problems
    (doubt,) = study.doubts
    assert f"{hashed(series_uid(1))}: OSEM, 5 slices, 10 mm, BQML, at 11:01" in doubt
    assert f"{hashed(series_uid(2))}: TrueX TOF, 5 slices, 10 mm, GML, at 11:00" in doubt


@pytest.mark.parametrize("name", [series_uid(2), hashed(series_uid(2))])
def test_a_person_resolves_a_doubt_by_uid_or_by_the_digits_shown(tmp_path, name):
    add_series(tmp_path / "a", 1)
    add_series(tmp_path / "b", 2)
    study = only_study(tmp_path, chosen_series=[name])
    assert study.pet.series_instance_uid == series_uid(2)
    assert "chosen by a person" in study.choice
    assert not study.doubts


def test_a_study_with_uncorrected_pet_only_is_a_problem_with_the_reason(tmp_path):
    add_series(tmp_path, 1, **NOT_CORRECTED)
    study = only_study(tmp_path)
    assert study.pet is None
    assert "1 not attenuation corrected" in study.problems[0]


def test_a_study_that_does_not_say_whether_it_is_corrected_is_a_doubt(tmp_path):
    add_series(tmp_path, 1, CorrectedImage=DELETED)
    study = only_study(tmp_path)
    assert study.pet is None
    assert "does not say whether attenuation was corrected" in study.doubts[0]


def test_a_study_with_gated_pet_only_is_a_problem(tmp_path):
    add_series(tmp_path, 1, SeriesType=["GATED", "IMAGE"])
    assert "1 gated, dynamic or with doubled slices" in only_study(tmp_path).problems[0]


def test_a_study_without_pet_says_what_was_found(tmp_path):
    add_ct(tmp_path)
    assert only_study(tmp_path).problems == ("There is no PET series; found 5 CT slice(s).",)


def test_the_ct_that_covers_the_pet_with_most_slices_is_found(tmp_path):
    add_series(tmp_path / "pet", 1)
    add_ct(tmp_path / "few", 51)
    add_ct(tmp_path / "many", 52, count=9, spacing_ijk=(2.0, 1.5, 1.25))
    add_ct(tmp_path / "chest", 53, count=20, spacing_ijk=(1.0, 1.0, 0.25))
    study = only_study(tmp_path)
    assert study.ct.series_instance_uid == series_uid(52)
    assert len(study.ct.files) == 9


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"FrameOfReferenceUID": "1.2.3"}, "none shares the PET's frame of reference"),
        ({"axes": oblique_axes()[:, [1, 2, 0]]}, "none is a stack of slices parallel"),
        ({"first": 40.0}, "none overlaps the PET"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "No CT in the study"),
    ],
)
def test_a_ct_that_does_not_fit_is_not_taken_and_the_reason_said(tmp_path, tags, reason):
    add_series(tmp_path / "pet", 1)
    add_ct(tmp_path / "ct", **tags)
    study = only_study(tmp_path)
    assert study.ct is None
    assert reason in study.choice
    assert not study.problems


def test_of_two_equal_cts_none_is_taken(tmp_path):
    add_series(tmp_path / "pet", 1)
    add_ct(tmp_path / "a", 51)
    add_ct(tmp_path / "b", 52)
    study = only_study(tmp_path)
    assert study.ct is None
    assert "2 series of 5 slices fit equally well" in study.choice

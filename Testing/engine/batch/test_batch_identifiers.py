"""Nothing that names a patient stays in a message."""

from pathlib import Path

import pytest
from pretended_study import NAME, pretended_study

from SegAnyPETLib.batch.identifiers import without_identifiers

STUDY = pretended_study(7, folder=None, behaviour="WB FDG Anna S.")
FILE = STUDY.pet.files[0]


@pytest.mark.parametrize(
    "text",
    [
        f"Cannot read {FILE}: damaged.",
        f"Expected slices in {FILE.parent}; found none.",
        f"Series {STUDY.pet.series_instance_uid} of {STUDY.study_instance_uid} has gaps.",
        f"Expected one file, found /mnt/My Patients/{NAME}/x.dcm and C:\\data\\{NAME}\\x.dcm",
        "The series WB FDG Anna S. has no CT.",
        f"'{FILE}' and \"{FILE.parent}/other.dcm\"",
    ],
)
def test_uids_names_and_paths_are_replaced(text):
    safe = without_identifiers(text, STUDY, "/mnt/My Patients")
    for secret in ("1.2.826", NAME, "Anna", ".dcm", "Patients"):
        assert secret not in safe


def test_what_a_clinician_needs_stays():
    text = "Expected SUV above 4.0 g/ml in 1.5 ml (PatientWeight (0010,1030) is 72.5 kg); version 1.16.2 and/or 3/4."
    assert without_identifiers(text, STUDY) == text


def test_a_message_without_end_is_cut():
    assert len(without_identifiers("word " * 10_000, STUDY)) < 1000


def test_other_paths_are_found_too():
    assert Path.home().name not in without_identifiers(f"in {Path.home()}/x y", STUDY, str(Path.home()))

"""Objects written twice, and labels that DICOM cannot hold as they are."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pydicom
import pytest
from test_dicom_seg_input import series_on
from three_segments import awkward_grid, some_segments

from SegAnyPETLib.data import Segment, write_dicom_seg, write_rtstruct
from SegAnyPETLib.data.dicom_seg_input import read_dicom_seg
from SegAnyPETLib.data.segment import LESION, Algorithm, Code, Terminology
from SegAnyPETLib.data.written_identity import derived_uid

MOMENT = datetime(2025, 3, 9, 23, 5, 7, 1200)
IDENTITY = {"series_instance_uid": "1.2.3.4.1", "sop_instance_uid": "1.2.3.4.2", "written_at": MOMENT}
WRITERS = pytest.mark.parametrize("write", [write_dicom_seg, write_rtstruct])


@pytest.fixture
def a_series(tmp_path):
    return series_on(awkward_grid(), tmp_path)


@WRITERS
def test_the_same_segments_with_the_same_identity_give_the_same_bytes(tmp_path, a_series, write):
    first, second = (
        write(tmp_path / name, source=a_series, segments=some_segments(), **IDENTITY).read_bytes()
        for name in ("first.dcm", "second.dcm")
    )
    assert first == second


@WRITERS
def test_uids_and_times_are_those_that_were_given(tmp_path, a_series, write):
    written = pydicom.dcmread(write(tmp_path / "x.dcm", source=a_series, segments=some_segments(), **IDENTITY))
    assert (written.SeriesInstanceUID, written.SOPInstanceUID) == ("1.2.3.4.1", "1.2.3.4.2")
    assert written.file_meta.MediaStorageSOPInstanceUID == "1.2.3.4.2"
    assert (written.InstanceCreationDate, written.InstanceCreationTime) == ("20250309", "230507.001200")


@WRITERS
def test_without_an_identity_two_objects_are_two(tmp_path, a_series, write):
    first, second = (
        pydicom.dcmread(write(tmp_path / "x.dcm", source=a_series, segments=some_segments())) for _ in "ab"
    )
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert first.SeriesInstanceUID != second.SeriesInstanceUID
    assert datetime.strptime(first.InstanceCreationDate, "%Y%m%d").year >= 2025


def test_segments_without_a_tracking_uid_get_one_of_their_own_that_stays(tmp_path, a_series):
    kept = replace(some_segments()[0], tracking_uid="1.2.826.0.1.3680043.8.498.77")
    segments = [kept, *some_segments()[1:]]
    seg = pydicom.dcmread(write_dicom_seg(tmp_path / "x.dcm", source=a_series, segments=segments, **IDENTITY))
    uids = [item.TrackingUID for item in seg.SegmentSequence]
    assert uids[0] == "1.2.826.0.1.3680043.8.498.77"
    assert len(set(uids)) == 3
    other = {**IDENTITY, "sop_instance_uid": "1.2.3.4.3"}
    again = pydicom.dcmread(write_dicom_seg(tmp_path / "x.dcm", source=a_series, segments=segments, **other))
    assert [item.TrackingUID for item in again.SegmentSequence][1] != uids[1]


def test_a_backslash_in_any_text_becomes_a_slash_in_the_seg(tmp_path, a_series):
    terms = Terminology(LESION.category, Code("1234", "99X", "left\\right"))
    algorithm = Algorithm("models\\net", "1\\2", is_automatic=True)
    segment = Segment("A\\B\\C", some_segments()[0].mask, terminology=terms, algorithm=algorithm)
    path = write_dicom_seg(tmp_path / "x.dcm", source=a_series, segments=[segment])
    [item] = pydicom.dcmread(path).SegmentSequence
    assert (item.SegmentLabel, item.TrackingID, item.SegmentAlgorithmName) == ("A/B/C", "A/B/C", "models/net")
    assert item.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "left/right"
    [read] = read_dicom_seg(path, grid=a_series.grid)
    assert (read.label, read.algorithm) == ("A/B/C", Algorithm("models/net", "1/2", is_automatic=True))


def test_a_derived_uid_depends_on_each_identifier_and_on_where_it_ends():
    uids = {derived_uid("a", "b"), derived_uid("ab"), derived_uid("b", "a"), derived_uid("a", "b", "")}
    assert len(uids) == 4
    assert all(len(uid) <= 64 and pydicom.uid.UID(uid).is_valid for uid in uids)
    assert derived_uid("a", "b") == derived_uid("a", "b")

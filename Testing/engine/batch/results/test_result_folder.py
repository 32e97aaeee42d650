"""The folder of a study: whole or as it was, whatever happens in between; and what a person corrects in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import highdicom
import nibabel
import numpy as np
import pydicom
import pytest
from hand_made_studies import (
    EVERYTHING,
    FIRST,
    NORMAL,
    ONLY_MASKS,
    SECOND,
    a_lesion,
    a_result,
    an_image,
    box_mask,
)

from SegAnyPETLib.batch.results import is_complete, load_lesions, read_study_json, replace_lesions, write_study
from SegAnyPETLib.batch.settings import BatchSettings
from SegAnyPETLib.data import Segment
from SegAnyPETLib.errors import GeometryError, InputError, OutputError
from SegAnyPETLib.phantom import centred_grid

OTHER = BatchSettings(formats=("nifti",), candidates="suv:3.0")


class Killed(BaseException):
    """Nothing more happens after it, as after a kill."""


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_every_format_is_written_and_holds_the_masks(tmp_path, series):
    folder = tmp_path / "studies" / "k"
    result = a_result(series)
    hashes = write_study(folder, result, settings=EVERYTHING)
    names = {
        "lesions.seg.dcm",
        "report.sr.dcm",
        "lesions.rtstruct.dcm",
        "lesions.seg.nrrd",
        "lesions.nii.gz",
        "page.png",
    }
    assert set(hashes) == names
    assert {path.name for path in folder.iterdir()} == names | {"study.json"}
    assert is_complete(folder, key=result.study.key, fingerprint=EVERYTHING.fingerprint)

    seg = highdicom.seg.segread(folder / "lesions.seg.dcm")
    assert [seg.get_segment_description(n).segment_label for n in (1, 2, 3)] == [
        "Lesion 1",
        "Knoten 22 (µ)",
        "Focus three",
    ]
    assert {seg.get_segment_description(n).algorithm_type.value for n in (1, 2, 3)} == {"AUTOMATIC"}
    assert seg.get_segment_description(1).tracking_uid == "2.25.1008"
    assert seg.get_segment_description(3).segmented_property_type.meaning == "Tissue"  # no neoplasm
    found = {
        n: sum(int(seg.pixel_array[f].sum()) for f, frame in enumerate(seg.PerFrameFunctionalGroupsSequence)
               if frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber == n)
        for n in (1, 2, 3)
    }  # fmt: skip
    assert found == {1: 12, 2: 8, 3: 1}

    labels = nibabel.load(folder / "lesions.nii.gz")
    array = np.asarray(labels.dataobj).T
    assert labels.get_data_dtype() == np.uint8
    assert np.array_equal(array == 1, FIRST & ~SECOND)  # the shared voxel goes to the smaller one
    assert np.array_equal(array == 2, SECOND)
    assert np.array_equal(array == 3, NORMAL)

    stored = load_lesions(folder, series.grid)
    assert [lesion.label for lesion in stored] == ["Lesion 1", "Knoten 22 (µ)", "Focus three"]
    for lesion, mask in zip(stored, (FIRST, SECOND, NORMAL), strict=True):
        assert np.array_equal(lesion.mask, mask)
    report = pydicom.dcmread(folder / "report.sr.dcm")
    assert report.Modality == "SR"


def test_an_empty_study_says_why_files_are_left_out(tmp_path, series):
    hashes = write_study(tmp_path / "k", a_result(series, ()), settings=EVERYTHING)
    assert set(hashes) == {"report.sr.dcm", "page.png"}
    content = read_study_json(tmp_path / "k")
    assert any("No lesion was found" in note for note in content["notes"])
    assert load_lesions(tmp_path / "k", series.grid) == []


def test_writing_the_same_again_gives_the_same_bytes(tmp_path, series):
    write_study(tmp_path / "k", a_result(series), settings=EVERYTHING)
    first = bytes_of(tmp_path / "k")
    write_study(tmp_path / "k", a_result(series), settings=EVERYTHING)
    assert bytes_of(tmp_path / "k") == first
    at = datetime.fromisoformat(json.loads(first["study.json"])["written_at"])
    write_study(tmp_path / "other" / "k", a_result(series), settings=EVERYTHING, written_at=at)
    assert bytes_of(tmp_path / "other" / "k") == first


def test_other_masks_get_other_object_uids_in_the_same_series(tmp_path, series):
    settings = BatchSettings(formats=("seg",))
    seen = []
    for lesions in (None, (a_lesion(an_image(series), FIRST, "Lesion 1"),)):
        write_study(tmp_path / "k", a_result(series, lesions), settings=settings)
        seg = pydicom.dcmread(tmp_path / "k" / "lesions.seg.dcm")
        seen.append((seg.SeriesInstanceUID, seg.SOPInstanceUID))
    assert seen[0][0] == seen[1][0]
    assert seen[0][1] != seen[1][1]


def crash_after(monkeypatch, steps: int) -> None:
    """From step `steps` on nothing can be moved or removed any more; a removal gets half way."""
    taken = 0

    def count() -> None:
        nonlocal taken
        taken += 1
        if taken > steps:
            raise Killed

    for owner, name in ((Path, "rename"), (Path, "replace"), (Path, "mkdir"), (os, "fsync")):
        real = getattr(owner, name)

        def stepped(*arguments, _real=real, **options):
            count()
            return _real(*arguments, **options)

        monkeypatch.setattr(owner, name, stepped)
    real_removal = shutil.rmtree

    def removal(path, *arguments, **options):
        try:
            count()
        except Killed:
            if taken == steps + 1 and Path(path).is_dir():
                sorted(Path(path).iterdir())[0].unlink()
            raise
        real_removal(path, *arguments, **options)

    monkeypatch.setattr(shutil, "rmtree", removal)


@pytest.mark.parametrize("is_first", [True, False])
def test_a_crash_between_any_two_steps_leaves_the_old_or_the_new_result(tmp_path, series, is_first):
    result, folder = a_result(series), tmp_path / "k"
    key = result.study.key
    outcomes = set()
    for steps in range(60):
        shutil.rmtree(folder, ignore_errors=True)
        if not is_first:
            write_study(folder, result, settings=ONLY_MASKS)
            (folder / "remark.txt").write_text("mine")
        with pytest.MonkeyPatch.context() as monkeypatch:
            crash_after(monkeypatch, steps)
            try:
                write_study(folder, result, settings=OTHER)
                is_killed = False
            except Killed:
                is_killed = True
        is_new = is_complete(folder, key=key, fingerprint=OTHER.fingerprint)
        is_old = is_complete(folder, key=key, fingerprint=ONLY_MASKS.fingerprint)
        outcomes.add((is_killed, is_new, is_old))
        assert is_first or ((is_new != is_old) and (folder / "remark.txt").read_text() == "mine"), steps
        assert [path.name for path in tmp_path.iterdir()] in (["k"], [])
        if not is_killed:
            break
    assert (False, True, False) in outcomes
    assert (True, True, False) in outcomes  # crashed late: what was whole is kept
    assert (True, False, not is_first) in outcomes


def test_a_killed_process_loses_nothing(tmp_path, series):
    result = a_result(series)
    write_study(tmp_path / "k", result, settings=ONLY_MASKS)
    code = f"""
import os, sys
from pathlib import Path
from SegAnyPETLib.batch.results.study_folder import new_study_folder
folder = Path({str(tmp_path / "k")!r})
real = Path.rename
def rename(path, target):
    real(path, target)
    os._exit(9)
Path.rename = rename
with new_study_folder(folder) as new:
    (new / "lesions.nii.gz").write_bytes(b"half")
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 9
    assert not (tmp_path / "k").exists()
    assert read_study_json(tmp_path / "k")["key"] == result.study.key  # a reader sees the one moved aside
    assert is_complete(tmp_path / "k", key=result.study.key, fingerprint=ONLY_MASKS.fingerprint)
    assert [path.name for path in tmp_path.iterdir()] == ["k"]


def test_a_full_disk_leaves_the_old_result(tmp_path, series, monkeypatch):
    result = a_result(series)
    write_study(tmp_path / "k", result, settings=ONLY_MASKS)
    before = bytes_of(tmp_path / "k")

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        write_study(tmp_path / "k", result, settings=OTHER)
    assert bytes_of(tmp_path / "k") == before
    assert [path.name for path in tmp_path.iterdir()] == ["k"]


def test_a_changed_or_missing_file_makes_a_result_incomplete(tmp_path, series):
    result, folder = a_result(series), tmp_path / "k"
    write_study(folder, result, settings=ONLY_MASKS)
    whole = {"key": result.study.key, "fingerprint": ONLY_MASKS.fingerprint}
    assert is_complete(folder, **whole)
    assert not is_complete(folder, key="another", fingerprint=ONLY_MASKS.fingerprint)
    assert not is_complete(folder, key=result.study.key, fingerprint=OTHER.fingerprint)
    path = folder / "lesions.seg.nrrd"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert not is_complete(folder, **whole)
    with pytest.raises(InputError, match="changed"):
        load_lesions(folder, series.grid)
    path.unlink()
    assert not is_complete(folder, **whole)
    content = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps({**content, "files": {"../../secret": "0"}}))
    assert not is_complete(folder, **whole)
    for text in ("[" * 100_000, "{}", "\0"):
        (folder / "study.json").write_text(text)
        assert not is_complete(folder, **whole)
    assert not is_complete(tmp_path / "nothing", **whole)


def test_lesions_of_another_grid_are_refused(tmp_path, series):
    write_study(tmp_path / "k", a_result(series), settings=ONLY_MASKS)
    for shape, centre in (((9, 13, 12), (-88.0, 45.0, 1203.0)), ((9, 13, 11), (-88.0, 49.0, 1203.0))):
        other = centred_grid(shape, (4.1, 3.2, 5.7), centre_lps_mm=centre, orientation="oblique")
        with pytest.raises(GeometryError, match="grid"):
            load_lesions(tmp_path / "k", other)


def test_a_correction_changes_its_lesion_and_keeps_the_rest(tmp_path, series):
    result, folder = a_result(series), tmp_path / "k"
    write_study(folder, result, settings=EVERYTHING)
    before = read_study_json(folder)
    first, second, _ = load_lesions(folder, series.grid)
    larger = second.mask | box_mask((5, 3, 5), (6, 4, 6))
    lesions = [first, Segment(second.label, larger, second.color_rgb, second.terminology), Segment("New", NORMAL)]
    replace_lesions(folder, lesions, series=series, image=result.image, settings=EVERYTHING)
    after = read_study_json(folder)
    assert is_complete(folder, key=result.study.key, fingerprint=EVERYTHING.fingerprint)  # and is not run again
    assert after["lesions"][0] == before["lesions"][0]
    changed, new = after["lesions"][1:]
    assert (changed["is_corrected"], changed["score"], changed["voxel_count"]) == (True, None, 9)
    assert (changed["tracking_uid"], changed["origin"]) == (
        before["lesions"][1]["tracking_uid"],
        "candidate, SUVbw >= 4 g/ml",
    )
    assert (new["is_corrected"], new["physiology"], new["label"]) == (True, None, "New")
    assert (after["rule"], after["rule_facts"], after["seconds"]) == (
        before["rule"],
        before["rule_facts"],
        before["seconds"],
    )
    assert after["patient"]["corrected_count"] == 2
    assert any("Focus three" in note for note in after["notes"])
    seg = highdicom.seg.segread(folder / "lesions.seg.dcm")
    types = [seg.get_segment_description(n).algorithm_type.value for n in (1, 2, 3)]
    assert types == ["AUTOMATIC", "SEMIAUTOMATIC", "SEMIAUTOMATIC"]
    with pytest.raises(InputError, match="different labels"):
        replace_lesions(folder, [first, first], series=series, image=result.image, settings=EVERYTHING)


def test_lesions_by_clicks_are_semi_automatic(tmp_path, series):
    settings = BatchSettings(formats=("seg",), prompts="prompts.csv")
    write_study(tmp_path / "k", a_result(series), settings=settings)
    seg = highdicom.seg.segread(tmp_path / "k" / "lesions.seg.dcm")
    assert seg.get_segment_description(1).algorithm_type.value == "SEMIAUTOMATIC"


@pytest.mark.parametrize(
    ("settings", "shows_date", "shows_uids"),
    [
        (BatchSettings(formats=("nifti",)), True, False),
        (BatchSettings(formats=("nifti",), shows_uids=True), True, True),
        (BatchSettings(formats=("nifti",), shows_uids=True, is_deidentified=True), False, False),
    ],
)
def test_identifiers_are_where_the_settings_allow_them(tmp_path, series, settings, shows_date, shows_uids):
    result = a_result(series)
    write_study(tmp_path / "k", result, settings=settings)
    text = (tmp_path / "k" / "study.json").read_text()
    assert ("20260302" in text) == shows_date
    assert (series.series_instance_uid in text) == shows_uids
    assert ('"1.2.3.4"' in text) == shows_uids
    assert "Doe" not in text
    assert ('"aa11"' in text) != settings.is_deidentified


def test_a_deidentified_study_names_nobody_anywhere(tmp_path, series):
    formats = ("seg", "sr", "rtstruct", "nifti")
    settings = BatchSettings(formats=formats, prompts="/data/Doe^Jane.csv", is_deidentified=True, shows_uids=True)
    lesion = a_lesion(an_image(series), FIRST, "Doe, Jane: node", asked={"origin": "Doe^Jane.csv"})
    result = a_result(series, (lesion,))
    assert "Doe" not in str(write_study(tmp_path / "k", result, settings=settings))
    source = pydicom.dcmread(series.source_files[0])
    secrets = [b"Doe", b"20260302", b"1.2.3.4", str(series.series_instance_uid).encode(), b'aa11"']
    secrets += [
        str(source.PatientID).encode(),
        str(source.StudyInstanceUID).encode(),
        str(source.SOPInstanceUID).encode(),
    ]
    before = bytes_of(tmp_path / "k")
    for name, content in before.items():
        assert [secret for secret in secrets if secret in content] == [], name
    seg, report = (pydicom.dcmread(tmp_path / "k" / name) for name in ("lesions.seg.dcm", "report.sr.dcm"))
    assert seg.SOPInstanceUID in str(report.CurrentRequestedProcedureEvidenceSequence)
    assert seg.PatientIdentityRemoved == "YES"
    write_study(tmp_path / "k", result, settings=settings)  # with the secret that was kept
    assert bytes_of(tmp_path / "k") == before
    write_study(tmp_path / "elsewhere" / "k", result, settings=settings)
    other = pydicom.dcmread(tmp_path / "elsewhere" / "k" / "lesions.seg.dcm")
    assert other.StudyInstanceUID != seg.StudyInstanceUID
    assert (tmp_path / ".deidentification-secret").stat().st_mode & 0o077 == 0
    (segment,) = load_lesions(tmp_path / "k", series.grid)
    replace_lesions(tmp_path / "k", [segment], series=series, image=result.image, settings=settings)
    assert read_study_json(tmp_path / "k")["lesions"] == json.loads(before["study.json"])["lesions"]


def test_three_hundred_lesions_are_written_and_read(tmp_path, series):
    image = an_image(series)
    place = np.argwhere(np.ones(image.array.shape, bool))[::4][:300]
    lesions = []
    for n, kji in enumerate(place):
        lesions.append(a_lesion(image, box_mask(kji, kji + 1), f"Focus {n}", tracking_uid=f"2.25.{n + 1}"))
    settings = BatchSettings(formats=("seg", "nifti", "png"))
    write_study(tmp_path / "k", a_result(series, tuple(lesions)), settings=settings)
    labels = nibabel.load(tmp_path / "k" / "lesions.nii.gz")
    assert labels.get_data_dtype() == np.uint16
    assert np.unique(np.asarray(labels.dataobj)).tolist() == list(range(301))
    stored = load_lesions(tmp_path / "k", series.grid)
    assert [np.argwhere(lesion.mask).tolist() for lesion in stored] == [[kji.tolist()] for kji in place]
    assert highdicom.seg.segread(tmp_path / "k" / "lesions.seg.dcm").number_of_segments == 300

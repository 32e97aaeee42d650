"""Studies out of folders, single files, DICOMDIRs, lists and file lists."""

from __future__ import annotations

import gc
import shutil
import warnings

import pytest
from pydicom.fileset import FileSet
from study_folders import add_ct, add_series, series_uid, study_uid

from SegAnyPETLib.batch.finding import find_studies, read_found_pet, search_sources, studies_of_files
from SegAnyPETLib.errors import InconsistentSeriesError, InputError


@pytest.fixture
def two_studies(tmp_path):
    folder = tmp_path / "export"
    add_series(folder / "b" / "pet", 1, study=2)
    add_series(folder / "a" / "pet", 1)
    add_ct(folder / "a" / "ct")
    (folder / "report.pdf").write_bytes(b"%PDF")
    return folder


def test_studies_are_grouped_and_always_in_the_same_order(two_studies, workspace):
    found = search_sources([two_studies], workspace=workspace)
    assert [study.study_instance_uid for study in found.studies] == [study_uid(1), study_uid(2)]
    assert [len(study.ct.files) if study.ct else 0 for study in found.studies] == [5, 0]
    assert found.studies[0].source == str(two_studies / "a" / "pet")
    assert len({study.key for study in found.studies}) == 2
    assert len({study.patient_key for study in found.studies}) == 2
    assert found.aside == {"file(s) that are not DICOM": 1}
    assert found.files_read == 16
    assert not workspace.exists()


def test_sources_that_name_one_study_are_merged_and_copies_counted_once(two_studies, tmp_path, workspace):
    copied = tmp_path / "copy"
    shutil.copytree(two_studies / "a", copied)
    shutil.rmtree(two_studies / "a" / "ct")
    found = search_sources([two_studies, copied], workspace=workspace)
    first = found.studies[0]
    assert (len(first.pet.files), len(first.ct.files)) == (5, 5)
    assert found.aside["copies of images found before"] == 5


def test_the_pet_of_a_found_study_is_read_with_the_values_on_disk(two_studies, workspace):
    series = read_found_pet(find_studies([two_studies], workspace=workspace)[0])
    assert series.series_instance_uid == series_uid(1)
    # The builder stores 1000 k + 100 j + i + 1 with slope 0.5.
    assert series.values[4, 2, 3] == (4000 + 200 + 3 + 1) * 0.5


def test_reading_a_study_without_a_choice_repeats_why(tmp_path, workspace):
    add_ct(tmp_path / "ct")
    (study,) = find_studies([tmp_path / "ct"], workspace=workspace)
    with pytest.raises(InputError, match=r"none was chosen\. There is no PET series"):
        read_found_pet(study)


def test_a_file_that_vanished_after_the_search_is_an_error(two_studies, workspace):
    study = find_studies([two_studies], workspace=workspace)[0]
    study.pet.files[0].unlink()
    with pytest.raises(InconsistentSeriesError, match="1 that cannot"):
        read_found_pet(study)


def test_a_damaged_file_of_the_pet_is_a_problem_that_names_it(two_studies, workspace):
    path = sorted((two_studies / "a" / "pet").iterdir())[2]
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b"\x28\x00\x30\x00") + 10])  # cut inside Pixel Spacing
    found = search_sources([two_studies], workspace=workspace)
    assert path.name in found.studies[0].problems[0]
    assert not found.studies[1].problems
    assert found.aside["damaged file(s)"] == 1


def test_a_damaged_file_of_another_series_is_counted_only(two_studies, workspace):
    (two_studies / "empty.dcm").write_bytes(b"")
    found = search_sources([two_studies], workspace=workspace)
    assert not any(study.problems for study in found.studies)
    assert found.aside["damaged file(s)"] == 1


def test_a_study_of_two_patients_is_a_problem(tmp_path, workspace):
    add_series(tmp_path, 1, PatientID=lambda k: f"P{k % 2}")
    (study,) = find_studies([tmp_path], workspace=workspace)
    assert "2 patients" in study.problems[0]


def test_one_patient_has_one_key_and_nameless_patients_have_their_own(tmp_path, workspace):
    for study, identifier in ((1, "SAME"), (2, "SAME"), (3, ""), (4, "")):
        add_series(tmp_path / str(study), 1, study=study, PatientID=identifier, PatientName="")
    keys = [study.patient_key for study in find_studies([tmp_path], workspace=workspace)]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_one_file_brings_the_study_beside_it_and_settles_the_series(tmp_path, workspace):
    chosen = add_series(tmp_path, 1)
    for path in add_series(tmp_path / "other", 2):
        path.rename(tmp_path / f"2-{path.name}")
    add_series(tmp_path / "deeper", 3, study=3)
    (study,) = find_studies([chosen[1]], workspace=workspace)
    assert study.pet.series_instance_uid == series_uid(1)
    assert not study.doubts


@pytest.mark.parametrize("kind", ["absent", "empty", "text"])
def test_a_source_that_is_nothing_usable_is_refused(tmp_path, workspace, kind):
    source = tmp_path / "source"
    if kind == "empty":
        source.mkdir()
    if kind == "text":
        source.write_text("hello")
    with pytest.raises(InputError):
        find_studies([source], workspace=workspace)
    with pytest.raises(InputError):
        find_studies([], workspace=workspace)


def test_the_file_lists_of_a_database_give_the_same_studies(two_studies, workspace):
    files = sorted(path for path in two_studies.rglob("*") if path.is_file())
    listed = studies_of_files(files, source="Slicer's DICOM database")
    searched = find_studies([two_studies], workspace=workspace)
    assert [study.key for study in listed] == [study.key for study in searched]
    assert {study.source for study in listed} == {"Slicer's DICOM database"}


def test_the_search_tells_how_far_it_is_and_can_be_ended(two_studies, workspace):
    class EndedError(Exception):
        pass

    def at_ten(count):
        if count == 10:
            raise EndedError

    with pytest.raises(EndedError):
        search_sources([two_studies], workspace=workspace, on_file=at_ten)


def test_a_list_file_names_sources_beside_it(two_studies, workspace):
    listing = two_studies / "list.csv"
    listing.write_bytes(b'\xef\xbb\xbf# studies\r\n\r\n"a"\r\nb/pet\r\n')
    assert len(find_studies([listing], workspace=workspace)) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\n\nnowhere\n", "Line 3 .*'nowhere', which does not exist"),
        ("a\nother.txt\n", "Line 2 .* another list"),
        ("# nothing\n", "found none"),
        ("a\0b\n", "Line 1 .* does not exist"),
        (f"{'x' * 5000}\n", "Line 1 .* does not exist"),
    ],
)
def test_a_list_with_a_mistake_names_the_line(two_studies, workspace, text, message):
    listing = two_studies / "list.txt"
    (two_studies / "other.txt").write_text("a\n")
    listing.write_text(text)
    with pytest.raises(InputError, match=message):
        find_studies([listing], workspace=workspace)


@pytest.fixture
def a_dicomdir(two_studies, tmp_path):
    """A DICOMDIR that pydicom writes; all its files lie beside it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # pydicom leaves its temporary folder to the collector
        media = FileSet()
        for path in two_studies.rglob("*.dcm"):
            media.add(path)
        media.write(tmp_path / "disk")
        del media
        gc.collect()
    return tmp_path / "disk" / "DICOMDIR"


def test_a_dicomdir_gives_the_studies_it_names(a_dicomdir, two_studies, workspace):
    add_series(a_dicomdir.parent / "unlisted", 9, study=9)
    found = find_studies([a_dicomdir], workspace=workspace)
    expected = find_studies([two_studies], workspace=workspace)
    assert [study.key for study in found] == [study.key for study in expected]
    assert [len(study.pet.files) for study in found] == [5, 5]


def test_a_file_that_a_dicomdir_names_but_is_gone_is_a_problem_of_its_study(a_dicomdir, workspace):
    study = find_studies([a_dicomdir], workspace=workspace)[1]
    study.pet.files[0].unlink()
    first, second = find_studies([a_dicomdir], workspace=workspace)
    assert not first.problems
    assert "1 damaged or missing" in second.problems[0]


def test_a_dicomdir_in_capitals_finds_files_in_small_letters(a_dicomdir, workspace):
    for path in sorted(a_dicomdir.parent.rglob("*"), key=lambda path: -len(path.parts)):
        if path != a_dicomdir:
            path.rename(path.with_name(path.name.lower()))
    assert len(find_studies([a_dicomdir], workspace=workspace)) == 2


def rewritten(dicomdir, components):
    """The DICOMDIR with another name for one of its files."""
    from pydicom import dcmread

    dataset = dcmread(dicomdir)
    record = next(item for item in dataset.DirectoryRecordSequence if "ReferencedFileID" in item)
    record.ReferencedFileID = components
    dataset.save_as(dicomdir)


@pytest.mark.filterwarnings("ignore:Invalid value for VR CS")
def test_a_dicomdir_that_leads_out_of_its_folder_is_refused(a_dicomdir, tmp_path, workspace):
    secret = tmp_path / "secret.dcm"
    secret.write_bytes(b"")
    rewritten(a_dicomdir, ["..", "SECRET.DCM"])
    with pytest.raises(InputError, match="no file inside its folder"):
        find_studies([a_dicomdir], workspace=workspace)
    (a_dicomdir.parent / "LINK").symlink_to(secret)
    rewritten(a_dicomdir, "LINK")
    with pytest.raises(InputError, match="a link out of its folder"):
        find_studies([a_dicomdir], workspace=workspace)


def test_an_image_named_dicomdir_is_refused(two_studies, tmp_path, workspace):
    path = next((two_studies / "a" / "pet").iterdir()).rename(tmp_path / "DICOMDIR")
    with pytest.raises(InputError, match="Expected a DICOMDIR"):
        find_studies([path], workspace=workspace)

"""Which files of a folder make up the PET series."""

from __future__ import annotations

import os

import pytest
from pet_dicom_builder import CT_IMAGE, DELETED, pet_slices, stored_values, write_slices

from SegAnyPETLib.data import list_pet_series, read_pet_files, read_pet_series
from SegAnyPETLib.errors import DICOMError, InconsistentSeriesError, InputError, SegAnyPETWarning

SERIES_1 = "1.2.826.0.1.3680043.8.498.20250101.1"
SERIES_2 = "1.2.826.0.1.3680043.8.498.20250101.2"


def test_ct_localizer_projection_and_other_files_beside_the_pet_are_ignored(tmp_path):
    write_slices(tmp_path / "PET" / "deep", pet_slices())
    write_slices(tmp_path / "CT", pet_slices(series=2, Modality="CT", SOPClassUID=CT_IMAGE))
    write_slices(tmp_path / "a", pet_slices(series=3, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]))
    write_slices(tmp_path / "b", pet_slices(series=4, ImageType=["DERIVED", "SECONDARY", "MIP"]))
    write_slices(tmp_path / "c", pet_slices(series=5, SeriesType=["STATIC", "REPROJECTION"]))
    write_slices(tmp_path / "d", pet_slices(series=6, SOPClassUID="1.2.840.10008.5.1.4.1.1.7"))
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "._slice.dcm").write_bytes(b"macOS")

    assert read_pet_series(tmp_path).series_instance_uid == SERIES_1


def test_one_file_of_the_series_brings_its_neighbours(tmp_path):
    paths = write_slices(tmp_path, pet_slices())
    write_slices(tmp_path, pet_slices(series=2), names=[f"other{n}.dcm" for n in range(5)])
    write_slices(tmp_path / "below", pet_slices(series=3))

    series = read_pet_series(paths[2])

    assert series.series_instance_uid == SERIES_1
    assert list(series.source_files) == paths


def test_uid_that_is_not_that_of_the_file_is_refused(tmp_path):
    paths = write_slices(tmp_path, pet_slices())
    with pytest.raises(InputError, match="belongs to series"):
        read_pet_series(paths[0], series_instance_uid=SERIES_2)


def test_two_series_are_listed_with_the_way_to_choose(tmp_path):
    write_slices(tmp_path / "one", pet_slices())
    write_slices(tmp_path / "two", pet_slices(series=2, stored=stored_values() + 7, Units="GML"))

    with pytest.raises(InconsistentSeriesError) as error:
        read_pet_series(tmp_path)
    message = str(error.value)
    assert "series_instance_uid=" in message
    assert f"{SERIES_1}: PET number 1, 5 slices, BQML, attenuation corrected" in message
    assert f"{SERIES_2}: PET number 2, 5 slices, GML, attenuation corrected" in message

    chosen = read_pet_series(tmp_path, series_instance_uid=SERIES_2)
    assert chosen.units == "GML"
    assert chosen.values[0, 0, 0] == (1 + 7) * 0.5


def test_listing_gives_every_series(tmp_path):
    write_slices(tmp_path / "one", pet_slices())
    write_slices(tmp_path / "two", pet_slices(series=2, CorrectedImage=["NORM"], SeriesDescription=DELETED))

    first, second = list_pet_series(tmp_path)

    assert (first.series_instance_uid, first.file_count, first.is_attenuation_corrected) == (SERIES_1, 5, True)
    assert (second.description, second.is_attenuation_corrected, second.is_multiframe) == ("", False, False)


def test_attenuation_corrected_series_is_preferred_to_its_uncorrected_twin(tmp_path):
    write_slices(tmp_path / "nac", pet_slices(CorrectedImage=["NORM", "DECY"]))
    write_slices(tmp_path / "ac", pet_slices(series=2))

    assert read_pet_series(tmp_path).series_instance_uid == SERIES_2


def test_only_series_is_read_though_it_is_not_attenuation_corrected(tmp_path):
    write_slices(tmp_path, pet_slices(CorrectedImage=["NORM", "DECY"]))
    assert read_pet_series(tmp_path).header.corrected_image == ("DECY", "NORM")


def test_unknown_uid_is_refused_with_what_there_is(tmp_path):
    write_slices(tmp_path, pet_slices())
    with pytest.raises(DICOMError, match=rf"No PET series 1\.2\.3 in .*\n.*{SERIES_1}"):
        read_pet_series(tmp_path, series_instance_uid="1.2.3")


def test_folder_with_ct_only_says_what_was_found(tmp_path):
    write_slices(tmp_path, pet_slices(Modality="CT", SOPClassUID=CT_IMAGE))
    with pytest.raises(DICOMError, match=r"Modality PT.*found 5 file\(s\) of modality CT"):
        read_pet_series(tmp_path)


def test_ct_file_given_as_pet_is_refused(tmp_path):
    path = write_slices(tmp_path, pet_slices(Modality="CT", SOPClassUID=CT_IMAGE))[0]
    with pytest.raises(DICOMError, match="modality CT"):
        read_pet_series(path)


def test_empty_folder_and_absent_path_are_input_errors(tmp_path):
    with pytest.raises(InputError, match="is empty"):
        read_pet_series(tmp_path)
    with pytest.raises(InputError, match="found nothing"):
        read_pet_series(tmp_path / "nowhere")
    with pytest.raises(InputError, match="Expected a folder"):
        list_pet_series(tmp_path / "nowhere")


def test_text_file_given_as_pet_is_refused(tmp_path):
    path = tmp_path / "notes.dcm"
    path.write_text("not an image")
    with pytest.raises(DICOMError, match="no DICOM file"):
        read_pet_series(path)


def test_folder_of_damaged_files_only_says_so(tmp_path):
    (tmp_path / "slice.dcm").write_bytes(b"")
    with pytest.raises(DICOMError, match=r"unreadable slice.dcm \(is named like DICOM"):
        read_pet_series(tmp_path)


def test_damaged_file_of_the_series_itself_is_an_error(tmp_path):
    paths = write_slices(tmp_path, pet_slices())
    whole = paths[4].read_bytes()
    paths[4].write_bytes(whole[: whole.index(b"\x28\x00\x30\x00") + 10])  # cut inside Pixel Spacing
    with pytest.raises(InconsistentSeriesError, match=f"incomplete: {paths[4].name} belongs to it but .* is truncated"):
        read_pet_series(tmp_path)


def test_unreadable_file_of_unknown_series_is_warned_of(tmp_path):
    write_slices(tmp_path, pet_slices())
    (tmp_path / "empty.dcm").write_bytes(b"")
    with pytest.warns(SegAnyPETWarning, match=r"1 unreadable file\(s\) left aside: empty.dcm") as caught:
        series = read_pet_series(tmp_path)
    assert len(caught) == 1
    assert series.warnings == (str(caught[0].message),)


def test_file_cut_before_its_pixels_is_an_error(tmp_path):
    paths = write_slices(tmp_path, pet_slices())
    whole = paths[4].read_bytes()
    paths[4].write_bytes(whole[:-10])
    with pytest.raises(DICOMError, match="truncated"):
        read_pet_series(tmp_path)


def test_fewer_slices_than_announced_are_warned_of(tmp_path):
    write_slices(tmp_path, pet_slices(NumberOfSlices=7))
    with pytest.warns(SegAnyPETWarning, match=r"NumberOfSlices .0054,0081. announces 7 slices; found 5"):
        read_pet_series(tmp_path)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a user whom permissions bind")
def test_folder_without_permission_is_an_error(tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0)
    try:
        with pytest.raises(DICOMError, match="cannot be listed"):
            read_pet_series(folder)
    finally:
        folder.chmod(0o700)


def test_pipe_in_the_folder_does_not_block_reading(tmp_path):
    write_slices(tmp_path, pet_slices())
    os.mkfifo(tmp_path / "pipe.dcm")
    assert read_pet_series(tmp_path).series_instance_uid == SERIES_1


def test_link_back_to_the_folder_does_not_loop(tmp_path):
    write_slices(tmp_path, pet_slices())
    (tmp_path / "loop").symlink_to(tmp_path)
    assert read_pet_series(tmp_path).series_instance_uid == SERIES_1


def test_the_files_of_a_series_give_the_same_volume_as_its_folder(tmp_path):
    paths = write_slices(tmp_path / "one", pet_slices())
    paths[3] = paths[3].rename(tmp_path / "elsewhere.dcm")
    others = write_slices(tmp_path / "two", pet_slices(series=2))

    series = read_pet_files([*others, *paths], series_instance_uid=SERIES_1)

    whole = read_pet_series(tmp_path, series_instance_uid=SERIES_1)
    assert series.grid == whole.grid
    assert (series.values == whole.values).all()
    assert series.source_files[3] == tmp_path / "elsewhere.dcm"


@pytest.mark.parametrize("damage", ["gone", "empty"])
def test_a_listed_file_that_cannot_be_read_is_an_error(tmp_path, damage):
    paths = write_slices(tmp_path, pet_slices())
    paths[0].unlink()
    if damage == "empty":
        paths[0].write_bytes(b"")
    with pytest.raises(InconsistentSeriesError, match=rf"found 1 that cannot, for example .*{paths[0].name}"):
        read_pet_files(paths)


def test_listed_files_of_another_modality_are_no_pet(tmp_path):
    paths = write_slices(tmp_path, pet_slices(Modality="CT", SOPClassUID=CT_IMAGE))
    with pytest.raises(DICOMError, match=r"Modality PT.*in the files given"):
        read_pet_files(paths)

"""Multi-frame PET: made by highdicom from single slices, and written by hand as the standard has it."""

from __future__ import annotations

import logging
import warnings

import numpy as np
import pytest
from pet_dicom_builder import (
    COUNT,
    DELETED,
    ORIGIN,
    SPACING_IJK,
    code,
    decimal,
    drug,
    file_meta,
    oblique_axes,
    pet_slices,
    set_tags,
    stored_values,
    write_slices,
)
from pydicom.dataset import Dataset, FileDataset

from SegAnyPETLib.data import read_pet_series
from SegAnyPETLib.errors import InconsistentSeriesError, MissingTagError, SegAnyPETWarning
from SegAnyPETLib.suv import compute_suv

ENHANCED = "1.2.840.10008.5.1.4.1.1.130"
AN_HOUR = 2 ** (3600 / 6586.2)
ORDER = [3, 0, 4, 1, 2]  # frames of the file, by slice


def group(**macros):
    item = Dataset()
    for keyword, tags in macros.items():
        inner = Dataset()
        set_tags(inner, tags)
        setattr(item, keyword, [inner])
    return item


def mapping(unit, slope):
    item = Dataset()
    item.RealWorldValueSlope, item.RealWorldValueIntercept = slope, 0.0
    item.MeasurementUnitsCodeSequence = [code(unit, "UCUM", unit)]
    return item


def enhanced(*, mappings=(("Bq/ml", 0.5),), drug_tags=None, **tags):
    axes, stored = oblique_axes(), stored_values()
    dataset = FileDataset("", {}, file_meta=file_meta(ENHANCED, "1.2.3.4"), preamble=b"\0" * 128)
    plane = pet_slices()[0]
    for keyword in (
        "PatientID",
        "PatientWeight",
        "PatientSize",
        "PatientSex",
        "StudyInstanceUID",
        "FrameOfReferenceUID",
    ):
        setattr(dataset, keyword, plane[keyword].value)
    for keyword in (
        "Rows",
        "Columns",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "PixelRepresentation",
        "SamplesPerPixel",
    ):
        setattr(dataset, keyword, plane[keyword].value)
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.SeriesInstanceUID = ENHANCED, "1.2.3.4", "1.2.3"
    dataset.Modality, dataset.ImageType = "PT", ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    dataset.PhotometricInterpretation, dataset.NumberOfFrames = "MONOCHROME2", COUNT
    dataset.AttenuationCorrected = dataset.DecayCorrected = "YES"
    dataset.DecayCorrectionDateTime = "20250101110000"
    dose = {"RadionuclideTotalDose": "370", "RadiopharmaceuticalStartTime": DELETED, **(drug_tags or {})}  # MBq
    dataset.RadiopharmaceuticalInformationSequence = [drug(**dose)]
    shared = group(
        PixelMeasuresSequence={"PixelSpacing": [decimal(SPACING_IJK[1]), decimal(SPACING_IJK[0])]},
        PlaneOrientationSequence={"ImageOrientationPatient": [decimal(v) for v in (*axes[:, 0], *axes[:, 1])]},
        PixelValueTransformationSequence={"RescaleSlope": "1", "RescaleIntercept": "0", "RescaleType": "US"},
    )
    shared.RealWorldValueMappingSequence = [mapping(*each) for each in mappings]
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = [
        group(
            PlanePositionSequence={
                "ImagePositionPatient": [decimal(v) for v in np.array(ORIGIN) + axes[:, 2] * SPACING_IJK[2] * k]
            },
            FrameContentSequence={
                "FrameAcquisitionDateTime": f"2025010111{5 * k:02d}00",
                "FrameAcquisitionDuration": 300000.0,
            },
        )
        for k in ORDER
    ]
    dataset.PixelData = stored[ORDER].astype("<i2").tobytes()
    dataset["PixelData"].VR = "OW"
    set_tags(dataset, tags)
    return dataset


def read(folder, dataset):
    return read_pet_series(write_slices(folder, [dataset])[0])


def test_frames_are_put_in_order_and_scaled_by_their_mapping(tmp_path):
    series = read(tmp_path, enhanced())

    assert series.is_multiframe
    assert series.units == "BQML"
    assert np.array_equal(series.values, stored_values() * 0.5)
    assert series.frame_numbers == tuple(ORDER.index(k) + 1 for k in range(COUNT))
    assert series.grid.origin_lps_mm == pytest.approx(ORIGIN, abs=1e-6)
    assert series.grid.spacing_ijk_mm == pytest.approx(SPACING_IJK, abs=1e-6)
    assert np.allclose(series.grid.direction, oblique_axes(), atol=1e-6)


def test_folder_with_one_multiframe_file_is_read(tmp_path):
    write_slices(tmp_path, [enhanced()])
    assert read_pet_series(tmp_path).series_instance_uid == "1.2.3"


def test_decay_correction_date_time_is_the_reference_and_the_dose_is_in_mbq(tmp_path):
    volume = compute_suv(read(tmp_path, enhanced()))
    assert volume.array == pytest.approx(stored_values() * 0.5 * 2e-4 * AN_HOUR, rel=1e-6)
    assert volume.provenance.reference_time_source == "DecayCorrectionDateTime (0018,9701)"


def test_dose_in_bq_against_the_standard_is_recognized_with_a_warning(tmp_path):
    series = read(tmp_path, enhanced(drug_tags={"RadionuclideTotalDose": "370000000"}))
    with pytest.warns(SegAnyPETWarning, match=r"Enhanced PET should be MBq; 3.7e\+08 is read as Bq"):
        volume = compute_suv(series)
    assert volume.array == pytest.approx(stored_values() * 0.5 * 2e-4 * AN_HOUR, rel=1e-6)


def test_date_times_with_an_offset_are_compared_on_one_clock(tmp_path):
    dataset = enhanced(
        DecayCorrectionDateTime="20250101120000+0100",
        drug_tags={"RadiopharmaceuticalStartDateTime": "20250101100000+0000"},
    )
    assert compute_suv(read(tmp_path, dataset)).array == pytest.approx(stored_values() * 0.5 * 2e-4 * AN_HOUR, rel=1e-6)


def test_without_decay_correction_each_frame_has_its_own_time(tmp_path):
    volume = compute_suv(read(tmp_path, enhanced(DecayCorrected="NO", DecayCorrectionDateTime=DELETED)))
    rate = np.log(2) / 6586.2
    frame = rate * 300 / (1 - np.exp(-rate * 300))
    decay = 2 ** ((3600 + 300 * np.arange(COUNT)) / 6586.2)
    expected = stored_values() * 0.5 * 2e-4 * frame * decay[:, None, None]
    assert volume.array == pytest.approx(expected, rel=1e-6)


def test_activity_is_preferred_to_a_mapping_to_suv(tmp_path):
    series = read(tmp_path, enhanced(mappings=(("g/ml{SUVbw}", 0.001), ("Bq/ml", 0.5))))
    assert series.units == "BQML"


@pytest.mark.parametrize("unit", ["g/ml{SUVbw}", "{SUVbw}g/ml"])
def test_mapping_to_suv_only_is_not_converted_again(tmp_path, unit):
    volume = compute_suv(read(tmp_path, enhanced(mappings=((unit, 0.001),))))
    assert volume.array == pytest.approx(stored_values() * 0.001, rel=1e-6)


def test_without_any_known_unit_suv_is_refused(tmp_path):
    with pytest.raises(MissingTagError, match="Units"):
        compute_suv(read(tmp_path, enhanced(mappings=(("ml/g", 0.5),))))


def test_corrected_decay_without_its_time_is_refused(tmp_path):
    with pytest.raises(MissingTagError, match=r"DecayCorrectionDateTime \(0018,9701\)"):
        read(tmp_path, enhanced(DecayCorrectionDateTime=DELETED))


@pytest.mark.parametrize("frames", [COUNT - 1, COUNT + 1, DELETED, "2147483647"])
def test_number_of_frames_that_is_not_true_is_refused(tmp_path, frames):
    with pytest.raises(InconsistentSeriesError, match=r"describes 5 in PerFrameFunctionalGroupsSequence"):
        read(tmp_path, enhanced(NumberOfFrames=frames))


def test_two_time_points_in_one_file_are_refused(tmp_path):
    dataset = enhanced()
    groups = dataset.PerFrameFunctionalGroupsSequence
    groups[1].PlanePositionSequence = groups[0].PlanePositionSequence
    with pytest.raises(InconsistentSeriesError, match=r"frame 1 of .* and frame 2 of .* gated, dynamic"):
        read(tmp_path, dataset)


def test_two_multiframe_files_of_one_series_are_refused(tmp_path):
    write_slices(tmp_path, [enhanced(), enhanced(SOPInstanceUID="1.2.3.5")])
    with pytest.raises(InconsistentSeriesError, match="Expected one multi-frame file"):
        read_pet_series(tmp_path)


@pytest.mark.parametrize(
    "macro", ["PixelMeasuresSequence", "PlaneOrientationSequence", "PixelValueTransformationSequence"]
)
def test_missing_functional_group_names_the_tag(tmp_path, macro):
    dataset = enhanced()
    delattr(dataset.SharedFunctionalGroupsSequence[0], macro)
    with pytest.raises(MissingTagError):
        read(tmp_path, dataset)


def test_legacy_converted_series_equals_its_single_slices(tmp_path):
    from highdicom.legacy import LegacyConvertedEnhancedPETImage

    # Two beds, post-processed: everything that differs per frame must survive the conversion.
    slices = pet_slices(
        slopes=["0.5", "0.25", "1.5", "0.125", "3"],
        SeriesTime="150000",
        AcquisitionTime=lambda k: "110000" if k < 2 else "110500",
        FrameReferenceTime=lambda k: "149605" if k < 2 else "449605",
        SliceThickness="2.5",
        AccessionNumber="",
        PatientBirthDate="",
        ReferringPhysicianName="",
        StudyID="1",
        PatientPosition="HFS",
        ContentDate="20250101",
        ContentTime="110000",
    )
    paths = write_slices(tmp_path / "single", slices)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        converted = LegacyConvertedEnhancedPETImage(
            slices, series_instance_uid="1.2.9", series_number=9, sop_instance_uid="1.2.9.1", instance_number=1
        )
        logging.disable(logging.NOTSET)
    (tmp_path / "multi").mkdir()
    converted.save_as(tmp_path / "multi" / "converted.dcm")

    single, multi = read_pet_series(paths[0].parent), read_pet_series(tmp_path / "multi")

    assert multi.is_multiframe
    assert np.array_equal(single.values, multi.values)
    assert single.grid.is_close(multi.grid)
    assert np.array_equal(compute_suv(single).array, compute_suv(multi).array)
    assert "computed back" in compute_suv(multi).provenance.reference_time_source

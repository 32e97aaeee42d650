"""From stored pixels to values, and headers that lie about them."""

from __future__ import annotations

import tracemalloc
import zlib

import numpy as np
import pytest
from pet_dicom_builder import PET_IMAGE, file_meta, pet_slices, stored_values, write_slices
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from SegAnyPETLib.data import read_pet_series
from SegAnyPETLib.errors import DICOMError, MissingTagError


def read(folder, slices):
    write_slices(folder, slices)
    return read_pet_series(folder)


def test_each_slice_has_its_own_slope(tmp_path):
    slopes = ["0.5", "0.25", "1.5", "0.125", "3"]
    series = read(tmp_path, pet_slices(slopes=slopes))
    expected = stored_values() * np.array([0.5, 0.25, 1.5, 0.125, 3])[:, None, None]

    assert np.array_equal(series.values, expected)
    assert [item.rescale_slope for item in series.header.slices] == [0.5, 0.25, 1.5, 0.125, 3]


def test_values_are_float32_and_read_only(tmp_path):
    values = read(tmp_path, pet_slices()).values
    assert values.dtype == np.float32
    with pytest.raises(ValueError, match="read-only"):
        values[0, 0, 0] = 1


def test_intercept_is_added(tmp_path):
    assert read(tmp_path, pet_slices(RescaleIntercept="-8")).values[0, 0, 0] == 0.5 * 1 - 8


def test_negative_values_of_signed_pixels_are_kept(tmp_path):
    assert read(tmp_path, pet_slices(stored=stored_values() - 2000)).values.min() == (1 - 2000) * 0.5


def test_unsigned_pixels_above_32767_stay_positive(tmp_path):
    stored = (stored_values().astype(np.uint16) + 60000).astype(np.uint16)
    assert read(tmp_path, pet_slices(stored=stored)).values[0, 0, 0] == 60001 * 0.5


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint32, np.int32])
def test_other_pixel_sizes_are_read(tmp_path, dtype):
    stored = (stored_values() % 120).astype(dtype)
    assert np.array_equal(read(tmp_path, pet_slices(stored=stored)).values, stored * np.float32(0.5))


def test_bits_above_those_stored_are_dropped_and_the_sign_is_that_of_the_stored_bits(tmp_path):
    # 12 bits stored, signed: 0xF801 in 16 bits is 0x801 in 12, which is 2049 - 4096 = -2047
    stored = np.full((5, 4, 6), 0x7801, dtype=np.int16)
    slices = pet_slices(stored=stored, BitsStored=12, HighBit=11)
    assert np.unique(read(tmp_path, slices).values).tolist() == [-2047 * 0.5]


def test_empty_slice_with_slope_zero_is_zero(tmp_path):
    stored = stored_values()
    stored[2] = 0
    series = read(tmp_path, pet_slices(stored=stored, slopes=["1", "1", "0", "1", "1"]))
    assert not series.values[2].any()


@pytest.mark.parametrize("slope", ["0", "-1"])
def test_slope_that_destroys_values_is_refused(tmp_path, slope):
    with pytest.raises(DICOMError, match=r"RescaleSlope \(0028,1053\) of .* should be positive"):
        read(tmp_path, pet_slices(slopes=slope))


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_other_uncompressed_syntaxes_give_the_same_values(tmp_path, syntax):
    slices = pet_slices()
    for dataset in slices:
        if syntax == ExplicitVRBigEndian:
            dataset.PixelData = np.frombuffer(dataset.PixelData, "<i2").astype(">i2").tobytes()
            dataset.set_original_encoding(is_implicit_vr=False, is_little_endian=False)
        dataset.file_meta = file_meta(PET_IMAGE, dataset.SOPInstanceUID, syntax)
    assert np.array_equal(read(tmp_path, slices).values, stored_values() * 0.5)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_lossless_compression_gives_the_same_values(tmp_path, syntax):
    stored = np.abs(stored_values()).astype(np.uint16)
    slices = pet_slices(stored=stored)
    for dataset in slices:
        dataset.compress(syntax)
    assert np.array_equal(read(tmp_path, slices).values, stored * 0.5)


def test_lossless_jpeg_without_a_decoder_says_how_to_convert(tmp_path):
    slices = pet_slices()
    for dataset in slices:
        dataset.compress(RLELossless)
        dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    with pytest.raises(DICOMError, match=r"JPEG Lossless.*gdcmconv --raw"):
        read(tmp_path, slices)


def test_header_that_claims_more_pixels_than_the_file_has_is_refused_without_allocating(tmp_path):
    slices = pet_slices(Rows=4000, Columns=4000)
    write_slices(tmp_path, slices)
    tracemalloc.start()
    with pytest.raises(DICOMError, match=r"4000 x 4000 pixels need 32000000 bytes .* found 48"):
        read_pet_series(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


def test_header_that_claims_more_pixels_than_any_pet_has_is_refused(tmp_path):
    with pytest.raises(DICOMError, match="claims 65535 rows and 65535 columns"):
        read(tmp_path, pet_slices(Rows=65535, Columns=65535))


def test_element_length_of_four_gigabytes_allocates_nothing(tmp_path):
    paths = write_slices(tmp_path, pet_slices())
    raw = bytearray(paths[1].read_bytes())
    place = raw.index(b"\xe0\x7f\x10\x00OW") + 8
    raw[place : place + 4] = (0xFFFFFFF0).to_bytes(4, "little")
    paths[1].write_bytes(raw)
    tracemalloc.start()
    with pytest.raises(DICOMError, match=r"truncated: element \(7FE0,0010\) should have 4294967280 bytes"):
        read_pet_series(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


def test_private_element_of_many_megabytes_is_not_read(tmp_path):
    slices = pet_slices()
    for dataset in slices[:2]:
        dataset.private_block(0x0029, "SOMEBODY", create=True).add_new(0x10, "OB", bytes(30_000_000))
    write_slices(tmp_path, slices)
    tracemalloc.start()
    assert np.array_equal(read_pet_series(tmp_path).values, stored_values() * 0.5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


def test_deflated_bomb_is_not_inflated(tmp_path):
    path = write_slices(tmp_path, pet_slices())[0]
    raw = path.read_bytes()
    uid = str(ExplicitVRLittleEndian).encode() + b"\0"
    deflated = str(DeflatedExplicitVRLittleEndian).encode()
    head = raw[: raw.index(uid) + len(uid)]
    bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = bomb.compress(bytes(20_000_000)) + bomb.flush()
    length = len(head) - len(uid) - 2
    grown = head[:length] + len(deflated).to_bytes(2, "little") + deflated
    group = grown.index(b"\x02\x00\x00\x00UL") + 8
    size = int.from_bytes(grown[group : group + 4], "little") + len(deflated) - len(uid)
    path.write_bytes(grown[:group] + size.to_bytes(4, "little") + grown[group + 4 :] + body)
    with pytest.raises(DICOMError, match="deflated transfer syntaxes are not read"):
        read_pet_series(path)


def test_colour_image_is_refused(tmp_path):
    with pytest.raises(DICOMError, match="several samples per pixel"):
        read(tmp_path, pet_slices(SamplesPerPixel=3))


@pytest.mark.parametrize("keyword", ["Rows", "Columns", "BitsAllocated", "BitsStored"])
def test_missing_pixel_format_names_the_tag(tmp_path, keyword):
    slices = pet_slices()
    delattr(slices[0], keyword)
    with pytest.raises(MissingTagError) as error:
        read(tmp_path, slices)
    assert error.value.keyword == keyword


def test_high_bit_that_is_not_the_last_stored_is_refused(tmp_path):
    with pytest.raises(DICOMError, match="16 bits allocated, 12 stored, high bit 15"):
        read(tmp_path, pet_slices(BitsStored=12))


def test_slice_without_pixels_is_refused(tmp_path):
    slices = pet_slices()
    del slices[2].PixelData
    with pytest.raises(DICOMError, match="no Pixel Data"):
        read(tmp_path, slices)


def test_several_frames_in_a_single_frame_object_are_refused(tmp_path):
    with pytest.raises(DICOMError, match="with 3 frames"):
        read(tmp_path, pet_slices(NumberOfFrames="3"))

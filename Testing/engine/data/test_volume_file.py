"""NIfTI, NRRD and MetaImage volumes, and files that try to mislead."""

from __future__ import annotations

import gzip
import re
import struct
import tracemalloc

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pet_dicom_builder import oblique_axes, stored_values

from SegAnyPETLib.data import read_volume_file
from SegAnyPETLib.errors import GeometryError, InputError, SegAnyPETWarning

LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def itk_image(array=None, *, axes=None, spacing=(4.0, 3.0, 2.5), origin=(-31.5, 12.25, 407.75)):
    image = SimpleITK.GetImageFromArray(stored_values().astype(np.float32) if array is None else array)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection((oblique_axes() if axes is None else axes).ravel().tolist())
    return image


def ras_affine(angles=(0.3, -0.4, 0.5), spacing=(4.0, 3.0, 2.5), origin=(-31.5, 12.25, 407.75)):
    matrix = np.eye(4)
    matrix[:3, :3] = oblique_axes(angles) * spacing
    matrix[:3, 3] = origin
    return LPS_FROM_RAS @ matrix


def nifti(path, data=None, *, affine=None, sform=1, qform=1, kind=nibabel.Nifti1Image, **fields):
    values = stored_values().astype(np.float32) if data is None else data
    data = values.transpose() if data is None or data.ndim == 3 else data
    image = kind(data, ras_affine() if affine is None else affine)
    image.set_sform(image.affine, sform)
    image.set_qform(image.affine, qform, strip_shears=True)
    for name, value in fields.items():
        image.header[name] = value
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha"])
def test_oblique_volume_written_by_itk_is_read_where_it_lies(tmp_path, name):
    SimpleITK.WriteImage(itk_image(), str(tmp_path / name), useCompression=name != "a.nii")
    array, grid = read_volume_file(tmp_path / name)

    assert array.dtype == np.float32
    assert np.array_equal(array, stored_values())
    assert grid.spacing_ijk_mm == pytest.approx((4.0, 3.0, 2.5), abs=1e-5)
    assert grid.origin_lps_mm == pytest.approx((-31.5, 12.25, 407.75), abs=1e-4)
    assert np.allclose(grid.direction, oblique_axes(), atol=1e-5)


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    angles=st.tuples(*[st.floats(-3.1, 3.1)] * 3),
    spacing=st.tuples(*[st.floats(0.5, 9.0)] * 3),
    origin=st.tuples(*[st.floats(-900.0, 900.0)] * 3),
    mirrored=st.booleans(),
    forms=st.sampled_from([(1, 0), (0, 1), (1, 1)]),
    version=st.sampled_from([nibabel.Nifti1Image, nibabel.Nifti2Image]),
)
def test_nifti_lies_where_nibabel_puts_it(tmp_path_factory, angles, spacing, origin, mirrored, forms, version):
    affine = ras_affine(angles, spacing, origin)
    if mirrored:
        affine[:, 2] *= -1
    folder = tmp_path_factory.mktemp("nifti")
    path = nifti(folder / "a.nii.gz", affine=affine, sform=forms[0], qform=forms[1], kind=version)
    array, grid = read_volume_file(path)
    reference = nibabel.load(path)

    expected = (LPS_FROM_RAS @ reference.affine @ [3.25, 1.5, 2.75, 1])[:3]  # i, j, k
    assert np.allclose(grid.kji_to_lps((2.75, 1.5, 3.25)), expected, atol=2e-3)  # quaternions are float32
    assert np.array_equal(array, np.asarray(reference.dataobj).transpose())


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "u4", "f4", "f8", ">i2", ">f4"])
def test_every_scalar_type_is_read(tmp_path, dtype):
    data = (stored_values() % 120).astype(dtype)
    header = nibabel.Nifti1Header(endianness=">" if dtype.startswith(">") else "<")
    header.set_data_dtype(np.dtype(dtype))
    nibabel.save(nibabel.Nifti1Image(data.transpose(), ras_affine(), header), tmp_path / "a.nii")
    assert np.array_equal(read_volume_file(tmp_path / "a.nii")[0], data)


def test_scale_slope_and_intercept_of_nifti_are_applied(tmp_path):
    path = nifti(tmp_path / "a.nii", stored_values())
    raw = bytearray(path.read_bytes())
    raw[112:120] = struct.pack("<2f", 0.25, -3.0)
    path.write_bytes(raw)
    assert np.array_equal(read_volume_file(path)[0], stored_values() * 0.25 - 3.0)


def test_forms_that_place_the_image_differently_are_refused(tmp_path):
    image = nibabel.Nifti1Image(stored_values().transpose(), ras_affine())
    image.set_sform(ras_affine(), 1)
    image.set_qform(ras_affine(origin=(0.0, 12.25, 407.75)), 1)
    nibabel.save(image, tmp_path / "a.nii")
    with pytest.raises(GeometryError, match=r"sform and qform of .* differently .corners up to 31.50 mm apart"):
        read_volume_file(tmp_path / "a.nii")


def test_sheared_sform_is_refused_and_not_replaced_by_the_qform(tmp_path):
    sheared = ras_affine()
    sheared[:3, 1] += 0.3 * sheared[:3, 0]
    for qform in (0, 1):
        path = nifti(tmp_path / f"{qform}.nii", affine=sheared, qform=qform)
        with pytest.raises(GeometryError, match="perpendicular"):
            read_volume_file(path)


def test_nifti_without_any_form_is_read_with_a_warning(tmp_path):
    path = nifti(tmp_path / "a.nii", sform=0, qform=0)
    with pytest.warns(SegAnyPETWarning, match="neither sform nor qform"):
        _, grid = read_volume_file(path)
    assert grid.spacing_ijk_mm == pytest.approx((4.0, 3.0, 2.5))


@pytest.mark.parametrize("units", [1, 3])  # metres, micrometres
def test_nifti_in_other_units_than_mm_is_refused(tmp_path, units):
    with pytest.raises(GeometryError, match="in mm"):
        read_volume_file(nifti(tmp_path / "a.nii", xyzt_units=units))


@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 1), (6, 4, 5, 2), (6, 4, 5, 1, 3)])
def test_nifti_that_is_no_single_volume_is_refused(tmp_path, shape):
    nibabel.save(nibabel.Nifti1Image(np.ones(shape, np.float32), ras_affine()), tmp_path / "a.nii")
    with pytest.raises(GeometryError, match=f"3D image .* has sizes {re.escape(str(list(shape)))}"):
        read_volume_file(tmp_path / "a.nii")


def test_fourth_axis_of_one_is_dropped(tmp_path):
    data = stored_values().transpose()[..., None].astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(data, ras_affine()), tmp_path / "a.nii")
    assert np.array_equal(read_volume_file(tmp_path / "a.nii")[0], stored_values())


@pytest.mark.parametrize(
    "dtype", [np.complex64, np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])], ids=["complex", "colour"]
)
def test_nifti_of_complex_or_colour_values_is_refused(tmp_path, dtype):
    nibabel.save(nibabel.Nifti1Image(np.zeros((6, 4, 5), dtype), ras_affine()), tmp_path / "a.nii")
    with pytest.raises(InputError, match="one real number per voxel"):
        read_volume_file(tmp_path / "a.nii")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_truncated_nifti_is_refused(tmp_path, suffix):
    path = nifti(tmp_path / f"a{suffix}")
    whole = path.read_bytes()
    for kept in (0, 10, 200, len(whole) - 40):
        path.write_bytes(whole[:kept])
        with pytest.raises(InputError):
            read_volume_file(path)


def test_nifti_header_that_claims_terabytes_allocates_nothing(tmp_path):
    raw = bytearray(nifti(tmp_path / "a.nii").read_bytes())
    raw[40:56] = struct.pack("<8h", 3, 32000, 32000, 32000, 1, 1, 1, 1)
    for name in ("a.nii", "a.nii.gz"):
        path = tmp_path / name
        path.write_bytes(gzip.compress(bytes(raw)) if name.endswith("gz") else raw)
        tracemalloc.start()
        with pytest.raises(InputError, match=r"claims .* voxels"):
            read_volume_file(path)
        assert tracemalloc.get_traced_memory()[1] < 20e6
        tracemalloc.stop()


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_itk_header_that_claims_terabytes_is_refused(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    SimpleITK.WriteImage(itk_image(), str(path))
    path.write_bytes(path.read_bytes().replace(b"6 4 5\n", b"60000 40000 50000\n", 1))
    with pytest.raises(InputError):
        read_volume_file(path)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".nii.gz"])
def test_garbage_is_refused(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(bytes(range(256)) * 8)
    with pytest.raises(InputError):
        read_volume_file(path)


def test_truncated_nrrd_is_refused(tmp_path):
    path = tmp_path / "a.nrrd"
    SimpleITK.WriteImage(itk_image(), str(path))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError):
        read_volume_file(path)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_vector_image_is_refused(tmp_path, suffix):
    array = np.zeros((5, 4, 6, 3), np.float32)
    image = SimpleITK.GetImageFromArray(array, isVector=True)
    SimpleITK.WriteImage(image, str(tmp_path / f"a{suffix}"))
    with pytest.raises(InputError, match="one real number per voxel"):
        read_volume_file(tmp_path / f"a{suffix}")


@pytest.mark.parametrize("shape", [(4, 6), (1, 4, 6), (2, 5, 4, 6)])
def test_nrrd_that_is_no_single_volume_is_refused(tmp_path, shape):
    image = SimpleITK.GetImageFromArray(np.ones(shape, np.float32), isVector=False)
    SimpleITK.WriteImage(image, str(tmp_path / "a.nrrd"))
    with pytest.raises(GeometryError, match="3D image"):
        read_volume_file(tmp_path / "a.nrrd")


def nrrd_text(path, *, space="space: left-posterior-superior\n", directions="(4,0,0) (0,3,0) (0,0,2.5)", more=""):
    head = (
        f"NRRD0004\ntype: short\ndimension: 3\nsizes: 6 4 5\n{space}"
        f"space directions: {directions}\nspace origin: (1,2,3)\nendian: little\nencoding: raw\n{more}\n"
    )
    path.write_bytes(head.encode() + stored_values().astype("<i2").tobytes())
    return path


def test_nrrd_in_ras_is_turned_to_lps(tmp_path):
    _, grid = read_volume_file(nrrd_text(tmp_path / "a.nrrd", space="space: right-anterior-superior\n"))
    assert grid.origin_lps_mm == (-1.0, -2.0, 3.0)
    assert np.allclose(grid.direction, np.diag([-1.0, -1.0, 1.0]))


def test_nrrd_in_a_space_without_patient_axes_is_refused(tmp_path):
    with pytest.raises(GeometryError, match="is in scanner-xyz"):
        read_volume_file(nrrd_text(tmp_path / "a.nrrd", space="space: scanner-xyz\n"))


def test_sheared_nrrd_is_refused(tmp_path):
    with pytest.raises((GeometryError, InputError)):
        read_volume_file(nrrd_text(tmp_path / "a.nrrd", directions="(4,0,0) (1,3,0) (0,0,2.5)"))


def test_nrrd_that_points_to_another_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="keeps its voxels in another file"):
        read_volume_file(nrrd_text(tmp_path / "a.nrrd", more="data file: /etc/passwd\n"))


def test_nan_is_refused_with_its_place_or_zeroed_on_demand(tmp_path):
    data = stored_values().astype(np.float32)
    data[1, 2, 3], data[4, 0, 0] = np.nan, np.inf
    path = nifti(tmp_path / "a.nii", data)
    with pytest.raises(InputError, match=r"2 NaN or infinite voxel.* of 120, the first at \(k, j, i\) = \(1, 2, 3\)"):
        read_volume_file(path)
    with pytest.warns(SegAnyPETWarning, match="2 NaN or infinite"):
        array, _ = read_volume_file(path, non_finite="zero")
    assert array[1, 2, 3] == array[4, 0, 0] == 0
    with pytest.raises(InputError, match="non_finite should be"):
        read_volume_file(path, non_finite="mean")


def test_value_beyond_float32_is_refused(tmp_path):
    data = stored_values().astype(np.float64)
    data[0, 0, 0] = 1e300
    with pytest.raises(InputError, match="infinite"):
        read_volume_file(nifti(tmp_path / "a.nii", data))


def test_negative_values_are_kept(tmp_path):
    assert read_volume_file(nifti(tmp_path / "a.nii", -stored_values()))[0].min() == -4306


def test_absent_file_folder_and_unknown_format_are_refused(tmp_path):
    for path in (tmp_path / "none.nii", tmp_path):
        with pytest.raises(InputError, match="found none"):
            read_volume_file(path)
    (tmp_path / "a.img").write_bytes(b"x")
    with pytest.raises(InputError, match=r"Expected \.nii"):
        read_volume_file(tmp_path / "a.img")

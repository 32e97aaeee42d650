"""Image files taken as SUV, and those that cannot be."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK
from pet_dicom_builder import oblique_axes

from SegAnyPETLib.errors import InputError, SegAnyPETWarning, SUVError
from SegAnyPETLib.suv import read_suv_image


def body(scale=1.0):
    """Something like a body: mean of the positive voxels 1, (K, J, I) of unequal sides."""
    values = np.random.default_rng(7).gamma(2.0, 0.5, (5, 6, 7)).astype(np.float32)
    return np.asarray(values / values.mean(dtype=np.float64) * scale, dtype=np.float32)


@pytest.fixture
def written(tmp_path):
    def write(array, name="pet.nii.gz", **fields):
        image = SimpleITK.GetImageFromArray(np.asarray(array, dtype=np.float32))
        image.SetSpacing((4.0, 3.0, 2.5))
        image.SetOrigin((-31.5, 12.25, 407.75))
        image.SetDirection(oblique_axes().ravel().tolist())
        for key, value in fields.items():
            image.SetMetaData(key, value)
        SimpleITK.WriteImage(image, str(tmp_path / name))
        return tmp_path / name

    return write


@pytest.mark.parametrize("name", ["pet.nii", "pet.nii.gz", "pet.nrrd", "pet.mha"])
def test_suv_file_is_taken_as_it_is(written, name):
    volume = read_suv_image(written(body(), name), kind="lbm")

    assert np.array_equal(volume.array, body())
    assert (volume.kind, volume.unit) == ("lbm", "g/ml")
    assert volume.grid.origin_lps_mm == pytest.approx((-31.5, 12.25, 407.75), abs=1e-4)
    assert volume.provenance.formula == "values are SUV already, as stated by the caller"


def test_activity_with_a_stated_factor_becomes_suv(written):
    volume = read_suv_image(written(body(5000)), units="bqml", suv_factor=2e-4)

    assert volume.array == pytest.approx(body(), rel=1e-5)
    assert volume.provenance.inputs["factor to SUV"] == "0.0002 (stated by the caller)"


def test_activity_taken_for_suv_is_refused_with_the_way_out(written):
    with pytest.raises(SUVError, match=r"looks like Bq/ml.*units='bqml' and suv_factor="):
        read_suv_image(written(body(5000)))


@pytest.mark.parametrize("factor", [None, 0.0, -1e-4, 5000.0])
def test_activity_needs_a_sensible_factor(written, factor):
    with pytest.raises(SUVError, match="needs suv_factor"):
        read_suv_image(written(body(5000)), units="bqml", suv_factor=factor)


def test_factor_is_not_applied_to_suv(written):
    with pytest.raises(SUVError, match="not converted twice"):
        read_suv_image(written(body()), suv_factor=2e-4)


def test_header_that_says_activity_contradicts_the_caller(written):
    path = written(body(), "pet.nrrd", units="BQML")
    with pytest.raises(SUVError, match="its header says 'BQML'"):
        read_suv_image(path)


def test_header_that_says_suv_agrees_with_the_caller(written):
    volume = read_suv_image(written(body(), "pet.nrrd", units="SUVbw"))
    assert volume.provenance.inputs["units in the file"] == "SUVbw"


def test_unusually_hot_image_is_warned_of(written):
    with pytest.warns(SegAnyPETWarning, match="mean of the positive voxels is 30, unusually high"):
        volume = read_suv_image(written(body(30)))
    assert len(volume.provenance.warnings) == 1


def test_small_negative_values_are_kept_and_larger_ones_warned_of(written):
    array = body()
    array[0, 0, 0] = -0.3
    assert read_suv_image(written(array)).array[0, 0, 0] == np.float32(-0.3)
    array[0, 0, 0] = -3
    with pytest.warns(SegAnyPETWarning, match="lowest voxel is -3"):
        read_suv_image(written(array))


def test_ct_is_refused(written):
    with pytest.raises(SUVError, match="like a CT"):
        read_suv_image(written(body(300) - 1000))


@pytest.mark.parametrize("value", [1, 255])
def test_mask_is_refused(written, value):
    with pytest.raises(SUVError, match="is a mask"):
        read_suv_image(written((body() > 1) * value))


def test_empty_image_is_refused(written):
    with pytest.raises(SUVError, match="an empty image"):
        read_suv_image(written(body(0)))


def test_phantom_of_two_values_is_no_mask(written):
    assert read_suv_image(written((body() > 1) * 3)).array.max() == 3


def test_slicer_segmentation_is_refused(written):
    labels = np.arange(5 * 6 * 7).reshape(5, 6, 7) % 3
    with pytest.raises(SUVError, match="is a mask"):
        read_suv_image(written(labels, "a.seg.nrrd", Segment0_ID="Segment_1"))


def test_nan_is_refused_or_zeroed_on_demand(written):
    array = body()
    array[1, 2, 3] = np.nan
    with pytest.raises(InputError, match="1 NaN or infinite"):
        read_suv_image(written(array))
    with pytest.warns(SegAnyPETWarning, match="set to 0"):
        assert read_suv_image(written(array), non_finite="zero").array[1, 2, 3] == 0


def test_unknown_units_and_kinds_are_refused(written):
    with pytest.raises(SUVError, match="units should be one of suv, bqml"):
        read_suv_image(written(body()), units="kbq")
    with pytest.raises(SUVError, match="kind should be one of bw, lbm, bsa, ibw"):
        read_suv_image(written(body()), kind="lean")

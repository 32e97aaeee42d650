import numpy as np
import pydicom
import pytest
import SimpleITK
from prompted_studies import a_study, oblique_grid

from SegAnyPETLib.batch.prompting import request_lesions
from SegAnyPETLib.batch.settings import BatchSettings
from SegAnyPETLib.data import read_pet_series, write_dicom_seg, write_mask_nifti, write_rtstruct, write_seg_nrrd
from SegAnyPETLib.data.segment import LESION, LYMPH_NODE, Algorithm, Segment
from SegAnyPETLib.errors import InputError
from SegAnyPETLib.geometry import VoxelBox
from SegAnyPETLib.phantom import nema_phantom, write_phantom_series
from SegAnyPETLib.session.prompts import SeedMask
from SegAnyPETLib.suv import SUVVolume, compute_suv

ALGORITHM = Algorithm("by hand", "1", is_automatic=False)


def two_overlapping_segments(shape):
    first, second = np.zeros(shape, bool), np.zeros(shape, bool)
    first[5:12, 6:14, 8:20] = True
    second[9:15, 10:20, 15:25] = True
    return [Segment("Läsion 1", first, terminology=LESION), Segment("Node", second, terminology=LYMPH_NODE)]


@pytest.fixture
def an_image():
    grid = oblique_grid()
    return SUVVolume(np.ones(grid.shape_kji, np.float32), grid)


def asked(path, image, study=None):
    return request_lesions(study or a_study(), image, settings=BatchSettings(prompts=str(path)))


def seed_of(lesion):
    (seed,) = lesion.prompts
    assert isinstance(seed, SeedMask)
    return seed.mask


def test_overlapping_segments_of_a_seg_nrrd_are_lesions_with_label_terminology_and_every_voxel(tmp_path, an_image):
    segments = two_overlapping_segments(an_image.grid.shape_kji)
    write_seg_nrrd(tmp_path / "s.seg.nrrd", segments, grid=an_image.grid)
    request = asked(tmp_path / "s.seg.nrrd", an_image)
    for lesion, segment in zip(request.lesions, segments, strict=True):
        assert (lesion.label, lesion.terminology) == (segment.label, segment.terminology)
        np.testing.assert_array_equal(seed_of(lesion), segment.mask)


def test_a_file_cropped_to_its_segments_is_put_where_it_was(tmp_path, an_image):
    grid = an_image.grid
    segments = two_overlapping_segments(grid.shape_kji)
    box = VoxelBox((4, 5, 6), (17, 22, 28))
    cropped = [Segment(s.label, s.mask[box.slices]) for s in segments]
    write_seg_nrrd(tmp_path / "s.seg.nrrd", cropped, grid=grid.crop(box))
    request = asked(tmp_path / "s.seg.nrrd", an_image)
    for lesion, segment in zip(request.lesions, segments, strict=True):
        np.testing.assert_array_equal(seed_of(lesion), segment.mask)
    assert any("another grid" in note for note in request.notes)


def test_a_mask_on_a_finer_grid_is_taken_by_voxel_centres(tmp_path, an_image):
    grid = an_image.grid
    fine = type(grid)(
        tuple(3 * n for n in grid.shape_kji),
        tuple(s / 3 for s in grid.spacing_ijk_mm),
        tuple(grid.kji_to_lps((-1 / 3, -1 / 3, -1 / 3))),
        grid.direction,
    )
    mask = two_overlapping_segments(grid.shape_kji)[0].mask
    big = mask.repeat(3, axis=0).repeat(3, axis=1).repeat(3, axis=2)
    write_mask_nifti(tmp_path / "m.nii.gz", big, grid=fine)
    np.testing.assert_array_equal(seed_of(asked(tmp_path / "m.nii.gz", an_image).lesions[0]), mask)


def test_each_value_of_a_labelmap_is_a_lesion(tmp_path, an_image):
    first, second = (segment.mask for segment in two_overlapping_segments(an_image.grid.shape_kji))
    labels = SUVVolume(np.where(first, 2, np.where(second, 7, 0)).astype(np.float32), an_image.grid)
    SimpleITK.WriteImage(SimpleITK.Cast(labels.to_sitk(), SimpleITK.sitkUInt8), str(tmp_path / "m.nrrd"))
    request = asked(tmp_path / "m.nrrd", an_image)
    assert [lesion.label for lesion in request.lesions] == ["Label 2", "Label 7"]
    np.testing.assert_array_equal(seed_of(request.lesions[1]), second & ~first)


def test_a_mask_beside_the_image_is_refused(tmp_path, an_image):
    grid = an_image.grid
    segments = two_overlapping_segments(grid.shape_kji)
    elsewhere = grid.crop(grid.box.shifted((500, 0, 0)))
    write_seg_nrrd(tmp_path / "s.seg.nrrd", segments, grid=elsewhere)
    with pytest.raises(InputError, match="has no voxel in it"):
        asked(tmp_path / "s.seg.nrrd", an_image)


def test_a_damaged_seg_nrrd_is_refused(tmp_path, an_image):
    write_seg_nrrd(tmp_path / "s.seg.nrrd", two_overlapping_segments(an_image.grid.shape_kji), grid=an_image.grid)
    whole = (tmp_path / "s.seg.nrrd").read_bytes()
    for damaged in (
        whole[: len(whole) - 40],
        whole.replace(b"sizes: 2 36 30 26", b"sizes: 2 36000 30000 26000"),
        whole.replace(b"Segment1_Layer:=1", b"Segment1_Layer:=7"),
        b"NRRD0004\n\n",
    ):
        assert damaged != whole
        (tmp_path / "s.seg.nrrd").write_bytes(damaged)
        with pytest.raises(InputError):
            asked(tmp_path / "s.seg.nrrd", an_image)


@pytest.mark.parametrize("kind", ["seg", "rtstruct"])
def test_a_dicom_mask_in_a_folder_is_found_by_its_study_and_refined(tmp_path, kind):
    folder = write_phantom_series(nema_phantom(), tmp_path / "PET")
    series = read_pet_series(folder)
    image = compute_suv(series)
    mask = np.zeros(image.grid.shape_kji, bool)
    k, j, i = (n // 2 for n in mask.shape)
    mask[k - 2 : k + 3, j - 4 : j + 4, i - 3 : i + 6] = True
    (tmp_path / "masks").mkdir()
    path = tmp_path / "masks" / "whatever.dcm"
    segments = [Segment("Lesion", mask, algorithm=ALGORITHM)]
    write = write_dicom_seg if kind == "seg" else write_rtstruct
    write(path, segments=segments, source=series)
    files = sorted(folder.iterdir())
    study = a_study(*files, uid=pydicom.dcmread(files[0]).StudyInstanceUID)
    (lesion,) = asked(tmp_path / "masks", image, study).lesions
    np.testing.assert_array_equal(seed_of(lesion), mask)
    assert lesion.label == "Lesion"
    with pytest.raises(InputError, match="found none"):
        asked(tmp_path / "masks", image, a_study(*files, uid="1.2.3.4"))

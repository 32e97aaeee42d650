"""Written .seg.nrrd read by SimpleITK and by pynrrd; Slicer's own reader has its test under Testing/mrml."""

from __future__ import annotations

import errno
import os

import nrrd
import numpy as np
import pytest
import SimpleITK
from three_segments import ORIENTATIONS, awkward_grid, some_segments, sorted_points, world_points

from SegAnyPETLib.data import Segment, write_seg_nrrd
from SegAnyPETLib.data.seg_nrrd_output import assign_layers
from SegAnyPETLib.data.slicer_terminology import slicer_terminology_entry
from SegAnyPETLib.errors import GeometryError, OutputError


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_itk_finds_the_same_voxels_in_the_world(tmp_path, orientation):
    grid, segments = awkward_grid(orientation), some_segments()
    path = write_seg_nrrd(tmp_path / "s.seg.nrrd", [segments[0], segments[2]], grid=grid)
    image = SimpleITK.ReadImage(str(path))
    labels = SimpleITK.GetArrayFromImage(image)
    for value, segment in ((1, segments[0]), (2, segments[2])):
        points = [
            image.TransformIndexToPhysicalPoint(tuple(int(v) for v in i[::-1])) for i in np.argwhere(labels == value)
        ]
        assert np.abs(sorted_points(np.array(points)) - world_points(segment.mask, grid)).max() < 0.011


def test_overlapping_segments_go_into_layers_and_lose_no_voxel(tmp_path):
    grid, segments = awkward_grid(), some_segments()
    assert assign_layers(segments) == (0, 1, 0)
    path = write_seg_nrrd(tmp_path / "s.seg.nrrd", segments, grid=grid)
    data, header = nrrd.read(str(path), index_order="F")
    assert header["kinds"] == ["list", "domain", "domain", "domain"]
    assert np.isnan(header["space directions"][0]).all()
    assert np.asarray(header["space directions"][1:]) == pytest.approx(np.asarray(grid.ijk_to_lps)[:3, :3].T)
    for index, segment in enumerate(segments):
        layer, value = int(header[f"Segment{index}_Layer"]), int(header[f"Segment{index}_LabelValue"])
        assert np.array_equal(data[layer] == value, segment.mask.transpose(2, 1, 0))
    assert "Segment1_Name:=Knoten 2 (µ)\n".encode() in path.read_bytes()  # pynrrd drops what is not ASCII
    assert [header[f"Segment{n}_Name"] for n in (0, 2)] == ["Lesion 1", "Left kidney"]
    assert header["Segment1_Color"] == "0.1 0.6 0.95"
    assert header["Segment2_Extent"] == "9 9 1 1 7 7"
    assert header["space"] == "left-posterior-superior"


def test_the_terminology_is_the_text_slicer_keeps():
    expected = (
        "Segmentation category and type - DICOM master list"
        "~SCT^123037004^Anatomical Structure~SCT^64033007^Kidney~SCT^7771000^Left"
        "~Anatomic codes - DICOM master list~^^~^^"
    )
    assert slicer_terminology_entry(some_segments()[2].terminology) == expected
    assert slicer_terminology_entry(some_segments()[0].terminology).endswith("~SCT^10200004^Liver~^^")


def test_300_segments_that_touch_need_two_layers_because_a_voxel_holds_255_labels(tmp_path):
    masks = np.zeros((300, 5, 6, 10), bool)
    masks.reshape(300, -1)[np.arange(300), np.arange(300)] = True
    segments = [Segment(f"L{n}", mask) for n, mask in enumerate(masks)]
    layers = assign_layers(segments)
    assert (layers.count(0), layers.count(1)) == (255, 45)
    grid = awkward_grid(shape=(5, 6, 10))
    data, header = nrrd.read(str(write_seg_nrrd(tmp_path / "s.seg.nrrd", segments, grid=grid)), index_order="F")
    assert np.array_equal(data[1] == int(header["Segment299_LabelValue"]), masks[299].transpose(2, 1, 0))


def test_what_cannot_be_written_is_refused_and_leaves_nothing(tmp_path):
    grid, segments = awkward_grid(), some_segments()
    with pytest.raises(OutputError, match=r"ending in \.seg\.nrrd"):
        write_seg_nrrd(tmp_path / "s.nrrd", segments, grid=grid)
    with pytest.raises(OutputError, match="at least one segment"):
        write_seg_nrrd(tmp_path / "s.seg.nrrd", [], grid=grid)
    with pytest.raises(OutputError, match="no voxel"):
        write_seg_nrrd(tmp_path / "s.seg.nrrd", [Segment("a", np.zeros(grid.shape_kji, bool))], grid=grid)
    with pytest.raises(GeometryError, match="on the image's grid"):
        write_seg_nrrd(tmp_path / "s.seg.nrrd", segments, grid=awkward_grid(shape=(11, 13, 9)))
    assert list(tmp_path.iterdir()) == []


def test_the_same_segments_give_the_same_file(tmp_path):
    grid, segments = awkward_grid(), some_segments()
    first, second = (write_seg_nrrd(tmp_path / f"{n}.seg.nrrd", segments, grid=grid) for n in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*_args: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("gzip.GzipFile.write", full)
    with pytest.raises(OutputError, match="No space left on device"):
        write_seg_nrrd(tmp_path / "s.seg.nrrd", some_segments(), grid=awkward_grid())
    assert list(tmp_path.iterdir()) == []

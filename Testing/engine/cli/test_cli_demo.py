"""`seganypet demo` on a small phantom, with a model whose answer is a ball of 14 mm around the click."""

import csv
import json

import nibabel
import numpy as np
import pydicom
import pytest
from typed_ball_model import BallModel

import SegAnyPETLib.phantom
from SegAnyPETLib.cli import main
from SegAnyPETLib.phantom import centred_grid, nema_phantom

NAMES = ["PET", "lesions.csv", "lesions.dcm", "lesions.json", "lesions.nii.gz", "lesions.png", "lesions.seg.nrrd"]


@pytest.fixture(autouse=True)
def a_small_phantom(monkeypatch, typed_ball_model):
    """Three spheres of 28, 26 and 22 mm in place of the whole body, which takes seconds to draw."""

    def make(**_):
        grid = centred_grid((36, 40, 44), (4.0, 4.5, 3.5), centre_lps_mm=(-20.0, 30.0, -100.0))
        centres = [(-60.0, 10.0, -90.0), (10.0, 80.0, -80.0), (30.0, -15.0, -130.0)]
        return nema_phantom(grid=grid, diameters_mm=(28.0, 26.0, 22.0), centres_lps_mm=centres)

    monkeypatch.setattr(SegAnyPETLib.phantom, "body_phantom", make)


def run(out, *words):
    return main(["demo", "--out", str(out), "--model", "ball", "--quiet", *words])


def test_the_demo_writes_every_result_and_a_table(tmp_path, capsys):
    out = tmp_path / "new" / "folder"
    assert run(out) == 0
    assert sorted(path.name for path in out.iterdir()) == NAMES
    printed = capsys.readouterr().out
    for lesion in ("sphere 28 mm", "sphere 26 mm", "sphere 22 mm"):
        assert lesion in printed
    assert len(list((out / "PET").iterdir())) == 36


def test_its_figures_are_those_of_the_truth(tmp_path, capsys):
    assert run(tmp_path, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    first, _, third = document["lesions"]
    assert first["true_volume_ml"] == pytest.approx(11.494, rel=1e-3)
    assert first["dice"] > 0.85  # the ball of the model is the sphere, but for the voxel it is centred on
    assert first["clicks"] == 1
    assert third["clicks"] > 1  # 14 mm is too much for a sphere of 11 mm radius
    assert first["suv_max"] == pytest.approx(4.0, rel=0.03)
    assert document["largest_suv_difference_after_dicom"] < 4.0 / 32767


def test_its_files_agree_with_each_other(tmp_path):
    assert run(tmp_path) == 0
    mask = nibabel.load(tmp_path / "lesions.nii.gz")
    with (tmp_path / "lesions.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert np.count_nonzero(np.asarray(mask.dataobj)) == sum(int(row["voxel_count"]) for row in rows)
    segmentation = pydicom.dcmread(tmp_path / "lesions.dcm")
    assert [item.SegmentLabel for item in segmentation.SegmentSequence] == [row["label"] for row in rows]


def test_the_demo_can_be_run_again_into_the_same_folder(tmp_path):
    assert run(tmp_path) == 0
    assert run(tmp_path) == 0


def test_a_model_that_finds_nothing_is_code_5_and_writes_no_result(tmp_path, monkeypatch, capsys):
    import torch

    nothing = torch.full((1, 1, 32, 32, 32), -6.0), torch.ones(1, 1)
    monkeypatch.setattr(BallModel, "decode", lambda *_, **__: nothing)
    assert run(tmp_path) == 5
    assert [path.name for path in tmp_path.iterdir()] == ["PET"]


def test_an_unknown_model_is_code_5_before_anything_is_written(tmp_path, capsys):
    assert main(["demo", "--out", str(tmp_path), "--model", "nobody", "--quiet"]) == 5
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_somebody_elses_is_left_alone(tmp_path, capsys):
    (tmp_path / "PET").mkdir()
    (tmp_path / "PET" / "mine.dcm").write_bytes(b"mine")
    assert run(tmp_path) == 6
    assert (tmp_path / "PET" / "mine.dcm").read_bytes() == b"mine"
    assert capsys.readouterr().err.count("\n") == 1


def test_a_folder_that_cannot_be_made_is_code_6(tmp_path, capsys):
    (tmp_path / "file").write_text("no folder")
    assert run(tmp_path / "file" / "out") == 6
    assert "Cannot use the folder" in capsys.readouterr().err

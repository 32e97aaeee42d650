"""`seganypet segment` from typed words to files, with a model whose answer is a ball of 14 mm around the click."""

import csv
import json
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from scipy import ndimage
from typed_ball_model import BallModel

from SegAnyPETLib.cli import main

BALL_ML = 11.494  # 4/3 pi 1.4^3
COMMON = ["--model", "ball", "--quiet"]
pytestmark = pytest.mark.usefixtures("typed_ball_model")


def run(*words):
    return main(["segment", *map(str, words), *COMMON])


def centre_of(path):
    image = nibabel.load(path)
    mask = np.asarray(image.dataobj) > 0
    index = np.array(ndimage.center_of_mass(mask))
    ras = image.affine @ [*index, 1.0]
    return (-ras[0], -ras[1], ras[2]), mask.sum() * abs(np.linalg.det(image.affine[:3, :3])) / 1000.0


@pytest.mark.parametrize("source", ["dicom", "nifti"])
def test_a_click_at_negative_coordinates_makes_a_mask_there(a_study, tmp_path, source):
    out = tmp_path / "mask.nii.gz"
    assert run(getattr(a_study, source), "--point", a_study.click, "--out", out) == 0
    centre, volume_ml = centre_of(out)
    assert centre == pytest.approx(a_study.lesion_lps_mm, abs=1.5)
    assert volume_ml == pytest.approx(BALL_ML, rel=0.06)


def test_frames_name_the_same_place(a_study, tmp_path):
    x, y, z = a_study.lesion_lps_mm
    k, j, i = a_study.grid.lps_to_kji(a_study.lesion_lps_mm)
    masks = []
    for frame, point in (("lps", (x, y, z)), ("ras", (-x, -y, z)), ("ijk", (i, j, k))):
        out = tmp_path / f"{frame}.nii"
        typed = ",".join(f"{value:.6f}" for value in point)
        assert run(a_study.nifti, "--point", typed, "--frame", frame, "--out", out) == 0
        masks.append(np.asarray(nibabel.load(out).dataobj))
    np.testing.assert_array_equal(masks[0], masks[1])
    np.testing.assert_array_equal(masks[0], masks[2])


def test_a_negative_click_takes_away(a_study, tmp_path):
    x, y, z = a_study.lesion_lps_mm
    whole, less = tmp_path / "whole.nii.gz", tmp_path / "less.nii.gz"
    assert run(a_study.nifti, "--point", a_study.click, "--out", whole) == 0
    assert run(a_study.nifti, "--point", a_study.click, f"{x + 14},{y},{z},-", "--out", less) == 0
    assert centre_of(less)[1] < 0.95 * centre_of(whole)[1]


def test_every_kind_of_file_is_written(a_study, tmp_path):
    names = ["m.nii.gz", "m.nii", "m.seg.nrrd", "m.dcm", "m.rtstruct.dcm", "m.csv", "m.json", "m.png"]
    out = [tmp_path / name for name in names]
    assert run(a_study.dicom, "--point", a_study.click, "--label", "Node 3", "--out", *out) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    with (tmp_path / "m.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert "Node 3" in row.values()
    assert (tmp_path / "m.png").read_bytes().startswith(b"\x89PNG")
    assert pydicom.dcmread(tmp_path / "m.dcm").Modality == "SEG"
    rtstruct = pydicom.dcmread(tmp_path / "m.rtstruct.dcm")
    assert rtstruct.Modality == "RTSTRUCT"
    assert [region.ROIName for region in rtstruct.StructureSetROISequence] == ["Node 3"]
    assert float(rtstruct.StructureSetROISequence[0].ROIVolume) == pytest.approx(BALL_ML, rel=0.06)


def test_json_on_stdout_says_what_was_done(a_study, tmp_path, capsys):
    out = tmp_path / "mask.nii.gz"
    assert run(a_study.nifti, "--point", a_study.click, "--out", out, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["prompts"] == [
        {"type": "point", "lps_mm": pytest.approx(list(a_study.lesion_lps_mm)), "positive": True}
    ]
    assert document["measures"]["volume_ml"] == pytest.approx(BALL_ML, rel=0.06)
    assert document["measures"]["suv_max"] == pytest.approx(4.0, rel=0.05)  # the sphere's activity, hardly blurred
    assert document["outputs"] == [str(out)]


def test_a_box_and_a_seed_are_prompts_too(a_study, tmp_path):
    x, y, z = a_study.lesion_lps_mm
    box = f"{x - 16},{y - 16},{z - 16},{x + 16},{y + 16},{z + 16}"
    assert run(a_study.nifti, "--box", box, "--out", tmp_path / "box.nii.gz") == 0
    assert run(a_study.nifti, "--seed", a_study.seed, "--out", tmp_path / "seed.nii.gz") == 0
    assert centre_of(tmp_path / "seed.nii.gz")[0] == pytest.approx(a_study.lesion_lps_mm, abs=5.0)


def error_of(capsys):
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    assert captured.err.startswith("seganypet: ")
    assert captured.err.count("\n") == 1
    return captured.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["{empty}", "--point", "1,2,3", "--out", "{tmp}/m.nii.gz"], 3, "PET"),
        (["{tmp}/nowhere", "--point", "1,2,3", "--out", "{tmp}/m.nii.gz"], 3, "nothing there"),
        (["{nifti}", "--point", "900,2,3", "--out", "{tmp}/m.nii.gz"], 4, "outside"),
        (["{nifti}", "--point", "{click}", "--out", "{tmp}/absent/m.nii.gz"], 6, "folder"),
        (["{nifti}", "--point", "{click}", "--out", "{tmp}/m.dcm"], 3, "to write DICOM SEG"),
        (["{nifti}", "--point", "{click}", "--out", "{tmp}/m.rtstruct.dcm"], 3, "to write an RT Structure Set"),
        (["{nifti}", "--point", "{click}", "--series", "1.2.3", "--out", "{tmp}/m.nii.gz"], 3, "--series"),
        (["{dicom}", "--point", "{click}", "--units", "suv", "--out", "{tmp}/m.nii.gz"], 3, "--units"),
        (["{dicom}", "--point", "{click}", "--series", "1.2.3", "--out", "{tmp}/m.nii.gz"], 3, "1.2.3"),
        (["{seed}", "--point", "{click}", "--out", "{tmp}/m.nii.gz"], 3, "mask"),
    ],
)
def test_what_goes_wrong_is_one_line_and_a_code(a_study, tmp_path, capsys, words, code, said):
    (tmp_path / "empty").mkdir()
    places = {
        "empty": tmp_path / "empty",
        "tmp": tmp_path,
        "nifti": a_study.nifti,
        "dicom": a_study.dicom,
        "seed": a_study.seed,
        "click": a_study.click,
    }
    assert run(*[word.format(**places) for word in words]) == code
    assert said in error_of(capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


@pytest.mark.parametrize(
    "words",
    [
        ["--out", "m.nii.gz"],
        ["--point", "1,2", "--out", "m.nii.gz"],
        ["--point", "1,2,3", "--out", "m.jpg"],
        ["--point", "1,2,3"],
        ["--point", "1,2,3", "--out", "m.nii.gz", "--frame", "xyz"],
        ["--point", "1,2,3", "--out", "m.nii.gz", "--state", "shoe_size=43"],
    ],
)
def test_wrong_usage_leaves_with_code_2(a_study, words):
    with pytest.raises(SystemExit) as left:
        run(a_study.nifti, *words)
    assert left.value.code == 2


def test_a_model_that_finds_nothing_is_code_4_and_writes_nothing(a_study, tmp_path, capsys, monkeypatch):
    import torch

    nothing = torch.full((1, 1, 32, 32, 32), -6.0), torch.ones(1, 1)
    monkeypatch.setattr(BallModel, "decode", lambda *_, **__: nothing)
    assert run(a_study.nifti, "--point", a_study.click, "--out", tmp_path / "m.nii.gz") == 4
    assert "found none" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_model_is_code_5(a_study, tmp_path, capsys):
    words = ["segment", a_study.nifti, "--point", a_study.click, "--out", str(tmp_path / "m.nii.gz"), "--quiet"]
    assert main([*words, "--model", "nobody"]) == 5
    assert "nobody" in error_of(capsys)


def test_debug_shows_where_it_happened(tmp_path, capsys):
    assert run(tmp_path / "nowhere", "--point", "1,2,3", "--out", tmp_path / "m.nii.gz", "--debug") == 3
    assert "Traceback" in capsys.readouterr().err


def test_a_weight_stated_by_the_user_scales_the_suv(a_study, tmp_path, capsys):
    suv_max = []
    for words in ([], ["--state", "patient_weight_kg=35"]):  # the phantom's patient weighs 70 kg
        assert run(a_study.dicom, "--point", a_study.click, "--out", tmp_path / "m.nii.gz", "--json", *words) == 0
        suv_max.append(json.loads(capsys.readouterr().out)["measures"]["suv_max"])
    assert suv_max[1] == pytest.approx(suv_max[0] / 2)


def test_a_missing_tag_is_named_with_what_the_user_can_do(a_study, tmp_path, capsys):
    broken = tmp_path / "PET"
    broken.mkdir()
    for path in Path(a_study.dicom).iterdir():
        dataset = pydicom.dcmread(path)
        del dataset.PatientWeight
        dataset.save_as(broken / path.name)
    assert run(broken, "--point", a_study.click, "--out", tmp_path / "m.nii.gz") == 3
    assert "(0010,1030)" in error_of(capsys)

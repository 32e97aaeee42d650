"""Files that are not what they should be, through the real readers and loaders: one line, the right code, no output."""

import os
import pickle
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

from SegAnyPETLib.cli import main


class Bomb:
    """Runs code when a careless reader unpickles it."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def save_nifti(path, array):
    nibabel.save(nibabel.Nifti1Image(array, np.diag([3.0, 4.0, 5.0, 1.0])), path)


def text_file(folder):
    (folder / "notes.txt").write_text("this is no image")
    return folder / "notes.txt"


def text_as_nifti(folder):
    (folder / "pet.nii.gz").write_text("this is no image")
    return folder / "pet.nii.gz"


def flat_image(folder):
    save_nifti(folder / "pet.nii", np.ones((20, 30), dtype=np.float32) + np.eye(20, 30, dtype=np.float32))
    return folder / "pet.nii"


def film(folder):
    save_nifti(folder / "pet.nii", np.random.default_rng(1).random((9, 8, 7, 3), dtype=np.float32))
    return folder / "pet.nii"


def holes(folder):
    array = np.random.default_rng(1).random((9, 8, 7), dtype=np.float32)
    array[4, 4, 4] = np.nan
    save_nifti(folder / "pet.nii", array)
    return folder / "pet.nii"


def activity(folder):
    save_nifti(folder / "pet.nii", 9000 * np.random.default_rng(1).random((9, 8, 7), dtype=np.float32))
    return folder / "pet.nii"


def truncated_slice(folder, a_study):
    shutil.copytree(a_study.dicom, folder / "PET")
    path = sorted((folder / "PET").iterdir())[5]
    path.write_bytes(path.read_bytes()[:-700])
    return folder / "PET"


def missing_slice(folder, a_study):
    shutil.copytree(a_study.dicom, folder / "PET")
    sorted((folder / "PET").iterdir())[5].unlink()
    return folder / "PET"


def segment_error(capsys, *words):
    code = main(["segment", *map(str, words), "--quiet"])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    return code, captured.err.splitlines()[-1]


@pytest.mark.parametrize("make", [text_file, text_as_nifti, flat_image, film, holes, activity])
def test_an_input_that_is_no_pet_is_code_3(tmp_path, capsys, make):
    source = make(tmp_path)
    code, said = segment_error(capsys, source, "--point", "1,2,3", "--out", tmp_path / "out.nii.gz")
    assert code == 3
    assert said.startswith("seganypet: ")
    assert not (tmp_path / "out.nii.gz").exists()


@pytest.mark.parametrize("make", [truncated_slice, missing_slice])
def test_a_damaged_series_is_code_3(a_study, tmp_path, capsys, make):
    source = make(tmp_path, a_study)
    code, _ = segment_error(capsys, source, "--point", a_study.click, "--out", tmp_path / "out.nii.gz")
    assert code == 3
    assert not (tmp_path / "out.nii.gz").exists()


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
@pytest.mark.parametrize("content", [b"", b"these are no weights", bytes(range(256)) * 9])
def test_a_checkpoint_that_is_none_is_code_5(a_study, tmp_path, capsys, name, content):
    weights = tmp_path / name
    weights.write_bytes(content)
    words = [a_study.nifti, "--point", a_study.click, "--model", weights, "--out", tmp_path / "out.nii.gz"]
    assert segment_error(capsys, *words)[0] == 5
    assert not (tmp_path / "out.nii.gz").exists()


def test_a_checkpoint_that_tries_to_run_code_does_not(a_study, tmp_path, capsys):
    weights, marker = tmp_path / "weights.pth", tmp_path / "ran"
    weights.write_bytes(pickle.dumps({"model_state_dict": Bomb(marker)}))
    words = [a_study.nifti, "--point", a_study.click, "--model", weights, "--out", tmp_path / "out.nii.gz"]
    assert segment_error(capsys, *words)[0] == 5
    assert not marker.exists()


@pytest.mark.parametrize("model", ["nobody", "absent.pth", "seganypet"])
def test_a_model_that_is_not_here_is_code_5(a_study, tmp_path, capsys, monkeypatch, model):
    monkeypatch.setenv("SEGANYPET_HOME", str(tmp_path / "home"))
    words = [a_study.nifti, "--point", a_study.click, "--model", model, "--out", tmp_path / "out.nii.gz"]
    assert segment_error(capsys, *words)[0] == 5


@pytest.mark.usefixtures("typed_ball_model")
def test_a_name_below_a_file_cannot_be_written(a_study, tmp_path, capsys):
    (tmp_path / "file").write_text("no folder")
    words = [a_study.nifti, "--point", a_study.click, "--model", "ball", "--out", tmp_path / "file" / "out.nii.gz"]
    assert segment_error(capsys, *words)[0] == 6


@pytest.mark.usefixtures("typed_ball_model")
def test_a_full_disk_leaves_nothing_half_written(a_study, tmp_path, capsys, monkeypatch):
    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    words = [a_study.nifti, "--point", a_study.click, "--model", "ball", "--out", tmp_path / "out.nii.gz"]
    code, said = segment_error(capsys, *words)
    assert code == 6
    assert "No space left on device" in said
    assert list(tmp_path.iterdir()) == []

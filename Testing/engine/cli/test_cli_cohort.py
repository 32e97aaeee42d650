"""`seganypet cohort` on three phantom cases, with a model whose answer is a ball of 14 mm around the click."""

import json

import numpy as np
import pytest
from typed_ball_model import BallModel

from SegAnyPETLib.cli import main
from SegAnyPETLib.data import read_volume_file, write_mask_nifti
from SegAnyPETLib.finetune.cohort import load_case, read_manifest
from SegAnyPETLib.finetune.cohort.model_agreement import agreement_with


def proposed(cases, table):
    assert main(["cohort", "propose", str(cases), "--out", str(table), "--validation", "0", "--quiet"]) == 0
    return read_manifest(table)


def test_the_agreement_with_a_model_is_that_of_two_balls(cases, tmp_path):
    for entry in proposed(cases, tmp_path / "m.csv").entries:
        (agreement,) = agreement_with(load_case(entry), BallModel())
        # Balls of 13 and 14 mm radius up to half a voxel (of 3.5 to 5 mm) apart.
        assert agreement.dice == pytest.approx(2 * 13**3 / (13**3 + 14**3), abs=0.1)
        assert agreement.offset_mm == pytest.approx(-1.0, abs=0.8)


@pytest.mark.usefixtures("typed_ball_model")
def test_a_label_that_the_model_contradicts_is_found(cases, tmp_path, capsys):
    path = cases / "CASE_002" / "gtv.nii.gz"
    values, grid = read_volume_file(path)
    wrong = np.zeros(values.shape, dtype=bool)
    wrong[1:-1, 1:-1, 1:-1] = True  # nearly the whole image, of which one click finds little
    wrong[:, :10] = False
    write_mask_nifti(path, wrong, grid=grid)
    proposed(cases, tmp_path / "m.csv")
    capsys.readouterr()
    assert main(["cohort", "check", str(tmp_path / "m.csv"), "--model", "ball", "--json", "--quiet"]) == 0
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert [one["case"] for one in findings if one["kind"] == "model"] == ["CASE_002"]


def test_shares_that_cannot_be_are_wrong_usage(cases, tmp_path):
    with pytest.raises(SystemExit) as stopped:
        main(["cohort", "propose", str(cases), "--out", str(tmp_path / "m.csv"), "--validation", "1"])
    assert stopped.value.code == 2
    assert not (tmp_path / "m.csv").exists()

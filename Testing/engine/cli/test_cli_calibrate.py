"""`seganypet calibrate` on three phantom cases with a model whose answer is a ball of 14 mm around the click."""

import json

import pytest

from SegAnyPETLib.cli import main
from SegAnyPETLib.errors import ModelError
from SegAnyPETLib.model.calibration import Calibration
from SegAnyPETLib.model.spec import read_registry

pytestmark = pytest.mark.usefixtures("typed_ball_model")


def run(cases, out, *words):
    return main(["calibrate", "--data", str(cases), "--model", "ball", "--out", str(out), "--quiet", *map(str, words)])


def test_a_run_writes_a_calibration_that_a_registry_can_name(cases, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(cases, out, "--clicks", 2, "--first-click", "deepest", "random") == 0
    assert "doubtful voxels" in capsys.readouterr().out
    written = json.loads((out / "calibration.json").read_text())
    assert written["conditions"].startswith("3 cases, one set of weights for all cases, 2 clicks")
    report = json.loads((out / "report.json").read_text())
    assert report["schema"] == "seganypet-calibration/1"
    assert (report["cases"], report["masks"]) == (3, 12)
    assert sum(one["share"] for one in report["probability"]["curve_after"]) == pytest.approx(1.0)
    assert (out / "reliability.png").read_bytes().startswith(b"\x89PNG")
    # the ball is 28 mm wide, the lesion 26 mm: probability and frequency agree better after the fit
    error = report["probability"]["expected_calibration_error"]
    assert error["after"] < error["before"]
    spec = registry_with(out, "calibration.json")
    assert spec.calibration == Calibration.from_json(written)
    assert [entry.from_prompts for entry in spec.calibration.prompts] == [1, 2]


def registry_with(folder, calibration):
    entry = {
        "name": "x",
        "title": "x",
        "architecture": "lite",
        "licence": "x",
        "training_data": "x",
        "calibration_file": calibration,
    }
    preprocessing = {
        "roi_shape": [64, 64, 64],
        "spacings_mm": [4.0],
        "tensor_axes": "kji_lps",
        "normalization": "log_suv",
        "mask_prompt_first": "none",
        "points": "accumulate",
        "mask_stride": 1,
    }
    path = folder / "models.json"
    path.write_text(json.dumps({"architectures": {"lite": preprocessing}, "models": [entry]}))
    return read_registry(path)[0]


@pytest.mark.parametrize("text", ["{}", '{"prompts": []}', "[1]", "not json"])
def test_a_damaged_calibration_is_an_error_and_not_a_silent_default(tmp_path, text):
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(ModelError):
        registry_with(tmp_path, "c.json")


def test_a_calibration_that_is_named_and_absent_is_an_error(tmp_path):
    with pytest.raises(ModelError, match="FileNotFoundError"):
        registry_with(tmp_path, "absent.json")


@pytest.mark.parametrize("words", [["--folds", "5"], ["--coverage", "1.5"]])
def test_wrong_usage_leaves_with_code_2(cases, tmp_path, words):
    with pytest.raises(SystemExit) as left:
        run(cases, tmp_path / "out", *words)
    assert left.value.code == 2

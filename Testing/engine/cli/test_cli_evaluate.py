"""`seganypet evaluate` on three phantom cases with a model whose answer is a ball of 14 mm around the click."""

import json

import nibabel
import numpy as np
import pytest

from SegAnyPETLib.cli import main

pytestmark = pytest.mark.usefixtures("typed_ball_model")


def run(cases, *words):
    return main(["evaluate", "--data", str(cases), "--model", "ball", "--quiet", *map(str, words)])


def test_a_run_writes_json_and_prints_a_table(cases, tmp_path, capsys):
    assert run(cases, "--clicks", 3, "--json", tmp_path / "result.json") == 0
    printed = capsys.readouterr().out
    assert "after click 3" in printed
    assert "threshold 41 percent" in printed
    document = json.loads((tmp_path / "result.json").read_text())
    assert [case["case"] for case in document["cases"]] == ["CASE_001", "CASE_002", "CASE_007"]
    # a ball of 28 mm around the deepest voxel of a ball of 26 mm: 2 * 26^3 / (26^3 + 28^3) when concentric
    assert document["summary"]["after_click"]["1"]["dice"]["mean"] == pytest.approx(0.89, abs=0.06)
    assert document["about"]["model"] == "ball"


def test_json_on_stdout_is_all_there_is(cases, capsys):
    assert run(cases, "--clicks", 1, "--json", "-") == 0
    assert json.loads(capsys.readouterr().out)["schema"] == "seganypet-evaluation/2"


def test_names_of_hosts_users_and_folders_of_the_machine_stay_out_of_the_result(cases, capsys):
    import getpass
    import platform

    assert run(cases, "--clicks", 1, "--json", "-") == 0
    about = json.dumps(json.loads(capsys.readouterr().out)["about"])
    assert platform.node() not in about
    assert getpass.getuser() not in about
    assert str(cases) not in about


def test_the_same_run_twice_gives_the_same_figures(cases, capsys):
    documents = []
    for _ in range(2):
        assert run(cases, "--clicks", 2, "--cut-faces", 20, "--json", "-") == 0
        document = json.loads(capsys.readouterr().out)
        for case in document["cases"]:
            for click in case["clicks"]:
                del click["seconds"]
        for figures in document["summary"]["after_click"].values():
            del figures["seconds"]
        del document["summary"]["seconds"], document["about"]
        documents.append(document)
    assert documents[0] == documents[1]


def test_only_the_named_cases_are_evaluated(cases, capsys):
    assert run(cases, "--clicks", 1, "--cases", "CASE_007,CASE_001", "--json", "-") == 0
    assert [case["case"] for case in json.loads(capsys.readouterr().out)["cases"]] == ["CASE_001", "CASE_007"]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("CASE_00[12]", ["CASE_001", "CASE_002"]),
        ("*_007, CASE_00?", ["CASE_001", "CASE_002", "CASE_007"]),
        ("CASE_001,*7", ["CASE_001", "CASE_007"]),
    ],
)
def test_shell_patterns_choose_cases_too_and_each_once(cases, capsys, asked, expected):
    assert run(cases, "--clicks", 1, "--cases", asked, "--json", "-") == 0
    assert [case["case"] for case in json.loads(capsys.readouterr().out)["cases"]] == expected


def test_a_fold_holds_the_cases_whose_number_leaves_its_rest(cases, capsys):
    assert run(cases, "--clicks", 1, "--fold", "2/5", "--json", "-") == 0
    assert [case["case"] for case in json.loads(capsys.readouterr().out)["cases"]] == ["CASE_002", "CASE_007"]


def test_cross_validation_gives_each_case_the_weights_of_its_own_fold(cases, capsys, monkeypatch):
    import SegAnyPETLib.model

    loaded, load = [], SegAnyPETLib.model.load_model
    monkeypatch.setattr(SegAnyPETLib.model, "load_model", lambda name, **_: loaded.append(name) or load("ball"))
    words = ["evaluate", "--data", str(cases), "--model", "weights/fold{fold}.pth", "--folds", "5", "--clicks", "1"]
    assert main([*words, "--json", "-", "--quiet"]) == 0
    assert loaded == ["weights/fold1.pth", "weights/fold2.pth"]
    assert json.loads(capsys.readouterr().out)["summary"]["cases"] == 3


def test_saved_masks_lie_on_the_grid_of_the_whole_case(cases, tmp_path):
    assert run(cases, "--clicks", 2, "--cut-faces", 20, "--save-masks", tmp_path / "masks") == 0
    for case in ("CASE_001", "CASE_002", "CASE_007"):
        image = nibabel.load(cases / case / "pet.nii.gz")
        mask = nibabel.load(tmp_path / "masks" / case / "click_02.nii.gz")
        np.testing.assert_allclose(mask.affine, image.affine, atol=1e-4)
        assert mask.shape == image.shape
        assert np.asarray(mask.dataobj).any()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--cases", "CASE_009"], 3, "CASE_009"),
        (["--cases", "CASE_001,case_*"], 3, "case_*"),
        (["--fold", "4/5"], 3, "fold"),
        (["--clicks", "0"], 3, "at least one click"),
        (["--json", "{tmp}/absent/result.json", "--clicks", "1"], 6, "absent"),
        (["--picture", "{tmp}/a.pdf"], 6, "a.pdf"),
    ],
)
def test_what_goes_wrong_is_one_line_and_a_code(cases, tmp_path, capsys, words, code, said):
    assert run(cases, *[word.format(tmp=tmp_path) for word in words]) == code
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_case_without_reference_is_left_out_and_named(cases, capsys):
    (cases / "CASE_002" / "gtv.nii.gz").unlink()
    assert run(cases, "--clicks", 1) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("2 cases")
    assert "CASE_002" in captured.err


def test_a_folder_without_cases_is_code_3(tmp_path, capsys):
    assert run(tmp_path) == 3
    assert "CASE/pet.nii.gz" in capsys.readouterr().err


def test_a_mask_on_another_grid_is_code_3(cases, capsys):
    path = cases / "CASE_002" / "gtv.nii.gz"
    image = nibabel.load(path)
    affine = image.affine.copy()
    affine[0, 3] += 2.0
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), affine), path)
    assert run(cases) == 3
    assert "CASE_002" in capsys.readouterr().err


def test_an_error_in_one_case_does_not_stop_the_others(cases, tmp_path, capsys):
    (cases / "CASE_002" / "pet.nii.gz").write_bytes(b"no image")
    assert run(cases, "--clicks", 1, "--json", tmp_path / "result.json") == 3
    captured = capsys.readouterr()
    assert captured.out.startswith("2 cases")
    assert "CASE_002" in captured.err
    text = (tmp_path / "result.json").read_text()
    document = json.loads(text)
    assert [case["case"] for case in document["cases"]] == ["CASE_001", "CASE_007"]
    (failure,) = document["failures"]
    assert (failure["case"], failure["error"], document["summary"]["failed"]) == ("CASE_002", "InputError", 1)
    assert str(cases) not in text


def test_errors_in_all_cases_leave_no_result(cases, tmp_path, capsys):
    for folder in cases.iterdir():
        (folder / "pet.nii.gz").write_bytes(b"no image")
    assert run(cases, "--json", tmp_path / "result.json") == 3
    assert not (tmp_path / "result.json").exists()
    assert "CASE_007" in capsys.readouterr().err


def test_classical_methods_get_the_same_clicks_in_the_same_run(cases, tmp_path, capsys):
    words = ("--clicks", 2, "--beside", "classical", "--cases", "CASE_001", "--json", tmp_path / "result.json")
    assert run(cases, *words) == 0
    assert "same clicks, mean Dice" in capsys.readouterr().out
    document = json.loads((tmp_path / "result.json").read_text())
    beside, (case,) = document["summary"]["beside"], document["cases"]
    assert {"random_walker", "geodesic", "nestle", "suv_2.5", "threshold_50_percent_filled"} <= set(beside)
    # the 41 % region after the first click is the baseline that was there before
    baseline = case["baselines"]["threshold_41_percent"]["dice"]
    assert case["beside"]["threshold_41_percent"][0] == pytest.approx(baseline)
    lead = beside["threshold_41_percent"]["1"]["lead"]["mean"]
    assert lead == pytest.approx(case["clicks"][0]["dice"] - baseline)


def test_a_classical_method_is_evaluated_with_its_own_clicks_and_without_a_model(cases, tmp_path, capsys, monkeypatch):
    import SegAnyPETLib.model

    monkeypatch.setattr(SegAnyPETLib.model, "load_model", None)  # calling it would be an error
    words = ["evaluate", "--data", str(cases), "--cases", "CASE_001", "--quiet", "--json", "-"]
    words += ["--method", "threshold_41_percent", "--save-masks", str(tmp_path)]
    assert main([*words, "--clicks", "2"]) == 0
    document = json.loads(capsys.readouterr().out)
    about, (case,) = document["about"], document["cases"]
    assert (about["method"], about["model"], about["weights_sha256"]) == ("threshold_41_percent", None, {})
    assert case["clicks"][0]["dice"] == pytest.approx(case["baselines"]["threshold_41_percent"]["dice"])
    # its second click goes where this method's own first mask errs
    k, j, i = case["clicks"][1]["kji"]
    reference = nibabel.load(cases / "CASE_001" / "gtv.nii.gz").dataobj[i, j, k] > 0.5
    first_mask = nibabel.load(tmp_path / "CASE_001" / "click_01.nii.gz").dataobj[i, j, k] > 0.5
    assert (reference, first_mask) == (case["clicks"][1]["positive"], not case["clicks"][1]["positive"])


def test_a_method_that_does_not_exist_is_answered_with_those_that_do(cases, capsys):
    with pytest.raises(SystemExit) as left:
        main(["evaluate", "--data", str(cases), "--method", "magic"])
    assert left.value.code == 2
    said = capsys.readouterr().err
    assert "model, threshold_41_percent" in said
    assert "geodesic" in said


@pytest.mark.parametrize(
    "words", [["--model", "ball"], ["--folds", "5"], ["--engine", "openvino"], ["--precision", "bfloat16"]]
)
def test_a_classical_method_takes_no_options_of_models(cases, capsys, words):
    with pytest.raises(SystemExit) as left:
        main(["evaluate", "--data", str(cases), "--method", "nestle", *words])
    assert left.value.code == 2
    assert f"leave out {words[0]}" in capsys.readouterr().err


def test_drawn_first_clicks_are_repeated(cases, capsys):
    words = ("--clicks", 1, "--first-click", "jittered", "--jitter", 10, "--repeats", 2, "--json", "-")
    assert run(cases, *words) == 0
    document = json.loads(capsys.readouterr().out)
    assert [case["repeat"] for case in document["cases"]] == [0, 1] * 3
    assert document["summary"]["after_click"]["1"]["dice"]["count"] == 3
    assert document["protocol"]["jitter_mm"] == 10.0


def test_a_shift_is_named_in_the_result(cases, capsys):
    assert run(cases, "--clicks", 1, "--shift", "voxel:1", "--json", "-") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["protocol"]["shift"] == {"kind": "voxel", "amount": 1.0}
    assert document["summary"]["after_click"]["1"]["dice"]["mean"] == pytest.approx(0.89, abs=0.07)


def test_robustness_compares_every_variation_with_the_standard_run(cases, tmp_path, capsys):
    words = ("--robustness", "--repeats", 1, "--clicks", 2, "--cases", "CASE_001,CASE_002")
    assert run(cases, *words, "--json", tmp_path / "result.json") == 0
    printed = capsys.readouterr().out
    assert "shift suv:1.25" in printed
    assert "first click one voxel outside" in printed
    document = json.loads((tmp_path / "result.json").read_text())
    assert document["schema"] == "seganypet-robustness/1"
    after = document["after_click"]["1"]
    # the ball model does not look at the image: only clicks and voxels move its answer
    assert after["shift suv:0.8"]["change"]["mean"] == 0.0
    assert after["first click one voxel outside"]["change"]["mean"] < -0.1


@pytest.mark.parametrize(
    "words",
    [
        ["--fold", "5/5"],
        ["--fold", "x"],
        ["--folds", "5"],
        ["--first-click", "best"],
        ["--shift", "tilt:3"],
        ["--robustness", "--shift", "blur:5"],
        ["--robustness", "--picture", "a.png"],
        ["--picture-note", "From a collection."],
        ["--repeats", "2", "--first-click", "random", "--save-masks", "masks"],
    ],
)
def test_wrong_usage_leaves_with_code_2(cases, words):
    with pytest.raises(SystemExit) as left:
        run(cases, *words)
    assert left.value.code == 2

"""`seganypet finetune` from a manifest to a model that is listed, exchanged and clicked with, interrupted once."""

import json
import os
import re

import numpy as np
import pytest
from small_finetuning import make_finetuning_small, write_sphere_cohort

import SegAnyPETLib.finetune.run_progress
from SegAnyPETLib.cli import main
from SegAnyPETLib.finetune import site_run, site_training
from SegAnyPETLib.finetune.checkpointing import CHECKPOINT_NAME
from SegAnyPETLib.finetune.config import FineTuneConfig
from SegAnyPETLib.finetune.heartbeat import working_alone

SPLITS = [("HQ", "train")] * 4 + [("LQ", "train")] * 4 + [("HQ", "validation")]


@pytest.fixture(scope="module")
def a_manifest(tmp_path_factory):
    """Four careful, four careless cases, one for validation."""
    return write_sphere_cohort(tmp_path_factory.mktemp("cohort"), SPLITS)


@pytest.fixture
def a_store(tmp_path, monkeypatch):
    """An empty store of models."""
    monkeypatch.setenv("SEGANYPET_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def small_crops_and_few_bundled_cases(monkeypatch):
    """Less of what takes minutes: replayed bodies, crops of 64 voxels, 26 bundled cases, looks at careless labels."""

    make_finetuning_small(monkeypatch.setattr)


def lines_of(run):
    return [json.loads(line) for line in (run / "progress.jsonl").read_text().splitlines()]


def test_a_run_is_interrupted_resumed_and_gives_a_model_that_travels(
    a_manifest, a_store, small_crops_and_few_bundled_cases, tmp_path, monkeypatch, capsys
):
    run = tmp_path / "run"
    command = ["finetune", "--cohort", str(a_manifest), "--out", str(run), "--method", "cpcl", "--parts", "decoder"]
    command += ["--preset", "quick", "--steps", "3", "--device", "cpu", "--name", "ours", "--quiet"]

    def interrupted(folder, **_):
        if lines_of(folder)[-1]["step"] == 2:
            raise KeyboardInterrupt
        return False

    with monkeypatch.context() as patched:
        patched.setattr(site_training, "wait_while_paused", interrupted)
        assert main(command) == 130
    assert (run / CHECKPOINT_NAME).is_file()  # of the first step
    assert not (run / "card.json").exists()
    assert main(command) == 6  # a run is there already
    assert "--resume" in capsys.readouterr().err
    assert main(["finetune", "--out", str(run), "--resume", "--quiet"]) == 0
    printed = capsys.readouterr().out
    assert "candidate" in printed  # one validation patient

    lines = lines_of(run)
    assert [line["step"] for line in lines if line["loss"] is not None] == [1, 2, 2, 3]
    assert lines[-1]["phase"] == "done"
    training = [line for line in lines if line["loss"] is not None]
    assert training[-1]["validation_dice"] > 0.3
    assert all(line["seconds_left"] > 0 for line in training)
    card = json.loads((run / "card.json").read_text())
    assert (card["cohort"]["careful"], card["cohort"]["careless"], card["cohort"]["validation"]) == (4, 4, 1)
    assert card["steps"] == 3
    assert card["labels"]["looked_at"] in (2, 3, 4)
    assert card["decision"]["becomes_default"] is False
    assert (run / "card.png").read_bytes().startswith(b"\x89PNG")
    assert "1 validation" in (run / "card.md").read_text()

    assert main(["models", "list", "--json"]) == 0
    models = {model["name"]: model for model in json.loads(capsys.readouterr().out)["models"]}
    assert models["ours"]["origin"] == "site"
    assert models["lite"]["is_default"]
    exported = tmp_path / "ours-2026.safetensors"
    assert main(["models", "export", "ours", str(exported)]) == 0
    assert not re.search(rb"(case|patient)\d", exported.read_bytes())

    monkeypatch.setenv("SEGANYPET_HOME", str(tmp_path / "another-machine"))
    assert main(["models", "import", str(exported), "--name", "theirs"]) == 0
    assert main(["models", "use", "theirs"]) == 0
    assert "candidate" in capsys.readouterr().err
    mask = tmp_path / "mask.nii.gz"
    image = a_manifest.parent / "pet8.nii.gz"
    click = ["segment", str(image), "--point", "10,-42,91", "--out", str(mask), "--json"]
    assert main(click) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["model"] == "theirs"
    assert found["measures"]["volume_ml"] > 0.5
    assert main(["models", "remove", "theirs"]) == 0
    assert main([*click, "--model", "theirs"]) == 5


def test_a_cohort_with_errors_is_not_trained_on(a_manifest, a_store, tmp_path, capsys):
    broken = a_manifest.with_name("broken.csv")
    broken.write_text(a_manifest.read_text().replace("label3.nii.gz", "nothing.nii.gz"))
    code = main(["finetune", "--cohort", str(broken), "--out", str(tmp_path / "run"), "--quiet"])
    assert code == 3
    message = capsys.readouterr().err
    assert "case3" in message
    assert "seganypet cohort check" in message


def test_a_cohort_that_changed_is_not_resumed(a_manifest, a_store, tmp_path, capsys):
    changed = a_manifest.with_name("changed.csv")
    changed.write_text(a_manifest.read_text())
    run = tmp_path / "run"
    request = site_run.RunRequest(changed, preset="quick", steps=2, device="cpu", method="hq")
    site_run.begin_run(request, run)
    changed.write_text(a_manifest.read_text().replace("case0,patient0", "case0,patient1"))
    assert main(["finetune", "--out", str(run), "--resume", "--quiet"]) == 3
    assert "has changed since" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--resume"], ["--cohort", "cohort.csv"]])
def test_a_folder_in_which_a_run_works_is_refused_and_left_as_it_is(arguments, a_store, tmp_path, capsys):
    run = tmp_path / "run"
    run.mkdir()
    site_run.RunPlan("cohort.csv", "lite", "ab" * 32, "cd" * 32, "ours", "cpu", FineTuneConfig(), "why").write(run)
    SegAnyPETLib.finetune.run_progress.write_wish(run, "pause")
    with working_alone(run):
        before = {path.name: path.stat().st_mtime_ns for path in run.iterdir() if path.name != "alive"}
        assert main(["finetune", "--out", str(run), *arguments]) == 6
        assert f"process {os.getpid()}" in capsys.readouterr().err
        assert {path.name: path.stat().st_mtime_ns for path in run.iterdir() if path.name != "alive"} == before
        assert (run / "alive").exists()  # the second took nothing away


def test_settings_cannot_be_changed_when_resuming(a_store, tmp_path):
    with pytest.raises(SystemExit) as left:
        main(["finetune", "--out", str(tmp_path), "--resume", "--steps", "9"])
    assert left.value.code == 2


def test_a_folder_without_a_run_cannot_be_resumed_or_asked(a_store, tmp_path, capsys):
    assert main(["finetune", "--out", str(tmp_path), "--resume"]) == 3
    assert main(["finetune", "--out", str(tmp_path), "--ask", "pause"]) == 3
    assert not (tmp_path / SegAnyPETLib.finetune.run_progress.WISH_NAME).exists()


@pytest.fixture
def balls_of_two_sizes(monkeypatch):
    """Models "small" and "right" by name."""
    from typed_ball_model import BallModel

    class Small(BallModel):
        def decode(self, embedding, *, points=None, mask_logits=None):
            logits, quality = super().decode(embedding, points=points, mask_logits=mask_logits)
            return logits - 2.0, quality  # two voxels of 4 mm less

    made = {"small": Small, "right": BallModel}
    monkeypatch.setattr("SegAnyPETLib.model.load_model", lambda name, **_: made[name](), raising=False)


def test_two_models_are_compared_on_folders_of_cases(balls_of_two_sizes, cases, capsys):
    assert main(["models", "compare", "small", "right", "--data", str(cases), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    first = found["after_click"]["1"]
    assert found["cases"] == 3
    assert first["gain"]["mean"] == pytest.approx(first["after"]["mean"] - first["before"]["mean"])
    assert first["gain"]["mean_interval"][0] > 0.2
    assert len(found["pairs"]) == 3
    assert main(["models", "compare", "small", "right", "--data", str(cases)]) == 0
    printed = capsys.readouterr().out
    assert "gain [95 % interval]" in printed
    assert np.all([f"{n} click" in printed for n in (1, 3, 5)])


def test_a_default_that_is_gone_does_not_hide_the_list(a_store, capsys):
    folder = a_store / "models"
    folder.mkdir(parents=True)
    (folder / "default.json").write_text(json.dumps({"schema": "seganypet-default/1", "model": "gone"}))
    assert main(["models", "list"]) == 0
    with pytest.raises(SystemExit) as left:
        main(["segment", "nothing", "--point", "1,2,3", "--out", "a.csv"])
    assert left.value.code == 2
    assert "seganypet models use lite" in capsys.readouterr().err
    assert main(["models", "use", "lite"]) == 0
    assert main(["models", "use", "nobody"]) == 5

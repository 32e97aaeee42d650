"""`seganypet finetune` by two processes under `torchrun`: one result, one voice, and no waiting for the dead."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_finetuning import write_sphere_cohort

LONGEST_S = 200
HERE = Path(__file__).parent
TOGETHER = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.fixture(scope="module")
def a_cohort(tmp_path_factory):
    """Where three cases are listed soundly, and once with an error."""
    folder = tmp_path_factory.mktemp("together")
    manifest = write_sphere_cohort(folder, [("HQ", "train")] * 3)
    (folder / "broken.csv").write_text(manifest.read_text().replace("label1.nii.gz", "nothing.nii.gz"))
    return folder


def run_here(folder, *command):
    path = os.pathsep.join([str(HERE), str(HERE.parents[2])])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "SEGANYPET_HOME": str(folder / "home")}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=LONGEST_S, check=False, cwd=folder
    )


def found_by(kind, cohort, folder):
    script = str(HERE / "finetune_together.py")
    done = run_here(folder, sys.executable, script, kind, str(folder), str(cohort / "cohort.csv"))
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "found.json").read_text())


@pytest.fixture(scope="module")
def disturbed(a_cohort, tmp_path_factory):
    """What became of a pair that paused, lost one, was resumed and stopped; and its folder."""
    folder = tmp_path_factory.mktemp("disturbed")
    return found_by("disturbed", a_cohort, folder), folder


def test_a_second_pair_is_refused_while_the_first_pauses_and_changes_nothing(disturbed):
    found, _ = disturbed
    assert found["is_still"]
    assert found["second"]["codes"] == [6, 5]
    first, second = found["second"]["said"]
    assert "in which nobody works; process" in first
    assert "says why itself" in second


def test_where_one_is_killed_the_other_ends_with_advice(disturbed):
    found, _ = disturbed
    assert found["one_killed"]["codes"] == [5, -9]
    said = found["one_killed"]["said"][0]
    assert "--resume" in said
    assert "Traceback" not in said


def test_both_go_on_and_a_wish_to_stop_reaches_both_and_one_speaks(disturbed):
    found, folder = disturbed
    assert found["stopped"]["codes"] == [0, 0]
    first, second = found["stopped"]["said"]
    assert "its card" in first
    assert second == ""
    card = json.loads((folder / "run" / "card.json").read_text())
    assert card["steps"] < 500
    assert "was stopped" in card["ended"]
    lines = [json.loads(line) for line in (folder / "run" / "progress.jsonl").read_text().splitlines()]
    steps = [line["step"] for line in lines if line["phase"] == "training" and line["loss"] is not None]
    assert steps == list(range(1, card["steps"] + 1))  # one writer, and the pause lost nothing


def require_same_weights(run, other):
    weights, others = (load_file(folder / "model.safetensors") for folder in (run, other))
    assert weights.keys() == others.keys()
    for key, value in weights.items():
        assert torch.equal(value, others[key]), key


@pytest.mark.slow
def test_a_killed_pair_and_the_command_under_torchrun_give_the_very_same_weights(a_cohort, tmp_path):
    found = found_by("killed", a_cohort, tmp_path)
    assert found["killed"]["codes"] == [-9, -9]
    assert found["whole"]["codes"] == found["resumed"]["codes"] == [0, 0]
    require_same_weights(tmp_path / "whole", tmp_path / "killed")
    options = ["--preset", "quick", "--method", "hq", "--parts", "decoder", "--device", "cpu", "--steps", "5"]
    command = [*TOGETHER, str(HERE / "small_finetuning.py"), "finetune", "--out", "launched", "--name", "launched"]
    done = run_here(tmp_path, *command, *options, "--cohort", str(a_cohort / "cohort.csv"))
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("its card") == 1
    require_same_weights(tmp_path / "whole", tmp_path / "launched")


@pytest.mark.slow
def test_the_documented_call_ends_both_with_the_command_s_own_message(a_cohort, tmp_path):
    options = ["--cohort", str(a_cohort / "broken.csv"), "--out", "run", "--method", "hq", "--device", "cpu", "--quiet"]
    done = run_here(tmp_path, *TOGETHER, "-m", "SegAnyPETLib", "finetune", *options)
    assert done.returncode != 0
    assert "seganypet: Expected a cohort without errors; found 1: [error: case1" in done.stderr
    assert "seganypet cohort check" in done.stderr

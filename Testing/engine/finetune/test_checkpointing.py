"""Resuming: the same result bit for bit, also after kills at any moment; checkpoints of other runs are refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from few_weights import CPU, BrightBalls, FewWeightsNetwork, small_run
from safetensors.torch import load_file, safe_open, save_file

from SegAnyPETLib.errors import WeightsError
from SegAnyPETLib.finetune.checkpointing import CHECKPOINT_NAME, load_checkpoint, save_checkpoint
from SegAnyPETLib.finetune.loop import start, train
from SegAnyPETLib.finetune.trained_parts import prepare_network
from SegAnyPETLib.model.lite import LiteNetwork

RUN = {"base_sha256": "ab" * 32, "manifest_fingerprint": "cd" * 32}
KILLS = 6

# Trains in children, each killed some steps and a random time after its start, until one may come to its end.
KILLING = """
import os, random, signal, sys, time
from pathlib import Path
import torch
from safetensors.torch import save_file
from few_weights import CPU, BrightBalls, FewWeightsNetwork, score_of_bias, small_run
from SegAnyPETLib.finetune.checkpointing import load_checkpoint, save_checkpoint
from SegAnyPETLib.finetune.loop import start, train

folder, kills = Path(sys.argv[1]), int(sys.argv[2])
run = {"base_sha256": "ab" * 32, "manifest_fingerprint": "cd" * 32}
settings = small_run(steps=20, validate_every=4)

def child():
    state = start(FewWeightsNetwork(), settings)
    load_checkpoint(folder, state, settings, **run)
    with (folder / "resumed.txt").open("a") as file:
        file.write(f"{state.step}\\n")
    def keep(now):
        save_checkpoint(folder, now, settings, **run)
        time.sleep(0.02)  # who watches may be late on a busy machine
        return False
    weights = train(state, BrightBalls(), settings, device=CPU, after_step=keep, validate=score_of_bias)
    save_file({**weights, "offset": torch.tensor(state.cohort.mm)}, folder / "result.safetensors")

def wait_for_steps(number, steps):
    last = written()
    while steps and not os.waitid(os.P_PID, number, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        time.sleep(0.0005)
        now = written()
        steps, last = steps - (now != last), now

def written():
    path = folder / "checkpoint.safetensors"
    return path.stat().st_mtime_ns if path.exists() else 0

start(FewWeightsNetwork(), settings)  # the first optimizer loads much of torch; not in every child again
rng = random.Random(7)
killed = interrupted = 0
while True:
    number = os.fork()
    if number == 0:
        child()
        os._exit(0)
    if killed < kills:
        wait_for_steps(number, rng.randint(1, 3))
        time.sleep(rng.uniform(0, 0.04))
        os.kill(number, signal.SIGKILL)
    _, status = os.waitpid(number, 0)
    interrupted += os.WIFSIGNALED(status)
    if killed >= kills:
        break
    killed += 1
sys.stdout.write(str(interrupted))
sys.exit(os.waitstatus_to_exitcode(status))
"""


def run_script(folder, *arguments):
    folder.mkdir()
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[3])])
    done = subprocess.run(
        [sys.executable, "-c", KILLING, str(folder), *arguments],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return load_file(folder / "result.safetensors"), done.stdout


def stopped_run(folder, *, at=5, network=None, **changes):
    """A run that wrote a checkpoint and ended there."""
    settings = small_run(**changes)
    state = start(network or FewWeightsNetwork(), settings)
    train(state, BrightBalls(), settings, device=CPU, after_step=lambda now: now.step == at)
    save_checkpoint(folder, state, settings, **RUN)
    return settings, state


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_run_killed_at_random_moments_ends_with_the_very_same_weights(tmp_path):
    whole, _none = run_script(tmp_path / "whole", "0")  # with as many threads: sums are rounded in their order
    killed, interrupted = run_script(tmp_path / "killed", str(KILLS))
    resumed = {int(step) for step in (tmp_path / "killed" / "resumed.txt").read_text().split()}
    assert int(interrupted) > 3
    assert len(resumed) > 3  # killed in the middle, not only before the first step or after the last
    assert whole.keys() == killed.keys()
    for name, value in whole.items():
        assert torch.equal(value, killed[name]), name
    left = {path.name for path in (tmp_path / "killed").iterdir()}
    assert left == {CHECKPOINT_NAME, "resumed.txt", "result.safetensors"}


def test_everything_that_changes_comes_back(tmp_path):
    settings, state = stopped_run(tmp_path, method="cpcl")
    state.pieces.crops, state.pieces.was_halved = 2, True
    save_checkpoint(tmp_path, state, settings, **RUN)
    again = start(FewWeightsNetwork(), settings)
    assert load_checkpoint(tmp_path, again, settings, **RUN)
    assert (again.step, again.history) == (state.step, state.history)
    assert again.pieces == state.pieces
    assert again.cohort.careful == state.cohort.careful
    assert again.cohort.careless
    assert (again.level.careful, again.level.careless) == (state.level.careful, state.level.careless)
    assert again.level.careless
    for one, other in (
        (state.network.state_dict(), again.network.state_dict()),
        (state.teacher.state_dict(), again.teacher.state_dict()),
        (state.averaged, again.averaged),
        *zip(
            state.optimizer.state_dict()["state"].values(), again.optimizer.state_dict()["state"].values(), strict=True
        ),
    ):
        for name, value in one.items():
            assert torch.equal(value, other[name])


@pytest.mark.parametrize("parts", ["decoder", "lora"])
def test_lite_resumes_bit_for_bit_and_only_what_learns_is_written(tmp_path, parts):
    class Small(BrightBalls):
        def _crop(self, rng, extra):
            import numpy as np

            crop = super()._crop(rng, extra)
            suv, label = (np.pad(part, [(0, 32 - n) for n in part.shape]) for part in (crop.suv, crop.label))
            return type(crop)(suv, label, crop.spacing_mm, crop.case)

    settings = small_run(method="hq", batch=1, steps=3, max_clicks=1, parts=parts)

    def begin():
        torch.manual_seed(6)
        network = LiteNetwork()
        return start(network, settings, groups=prepare_network(network, parts))

    state = begin()
    whole = train(state, Small(), settings, device=CPU)
    state = begin()
    train(state, Small(), settings, device=CPU, after_step=lambda now: now.step == 2)
    save_checkpoint(tmp_path, state, settings, **RUN)
    again = begin()
    load_checkpoint(tmp_path, again, settings, **RUN)
    rest = train(again, Small(), settings, device=CPU)
    for name, value in whole.items():
        assert torch.equal(value, rest[name]), name
    names = load_file(tmp_path / CHECKPOINT_NAME).keys()
    assert not any("encoder.level1" in name for name in names)


def test_without_a_checkpoint_nothing_is_changed(tmp_path):
    settings = small_run()
    state = start(FewWeightsNetwork(), settings)
    assert not load_checkpoint(tmp_path, state, settings, **RUN)
    assert state.step == 0


def test_a_checkpoint_of_another_run_is_refused_with_what_differs(tmp_path):
    settings, _ = stopped_run(tmp_path)
    state = start(FewWeightsNetwork(), settings)
    before = {name: value.clone() for name, value in state.network.state_dict().items()}
    others = [
        (small_run(learning_rate=2e-2), RUN, "learning_rate 0.01 instead of 0.02"),
        (settings, {**RUN, "base_sha256": "ef" * 32}, "base_sha256 abababababab... instead of efefefefefef"),
        (settings, {**RUN, "manifest_fingerprint": "12" * 32}, "manifest_fingerprint cdcdcdcdcdcd... instead of 1212"),
    ]
    for other, run, words in others:
        with pytest.raises(WeightsError, match=words):
            load_checkpoint(tmp_path, state, other, **run)
    for name, value in state.network.state_dict().items():
        assert torch.equal(value, before[name])


def changed_file(folder, change):
    path = folder / CHECKPOINT_NAME
    with safe_open(path, framework="pt") as file:
        said = json.loads(file.metadata()["state"])
    tensors = {name: value.clone() for name, value in load_file(path).items()}
    change(tensors, said)
    save_file(tensors, path, metadata={"state": json.dumps(said)})


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors, said: tensors.pop("averaged/mix.bias"),
        lambda tensors, said: tensors.update({"network/mix.bias": torch.zeros(7)}),
        lambda tensors, said: tensors.update({"optimizer/99/exp_avg": torch.zeros(7)}),
        lambda tensors, said: said.pop("cohort"),
        lambda tensors, said: said.update(layout=99),
    ],
)
def test_a_damaged_checkpoint_is_refused_and_changes_nothing(tmp_path, change):
    settings, _ = stopped_run(tmp_path)
    changed_file(tmp_path, change)
    state = start(FewWeightsNetwork(), settings)
    with pytest.raises(WeightsError, match="Begin anew"):
        load_checkpoint(tmp_path, state, settings, **RUN)
    assert state.step == 0


def test_a_file_that_is_cut_off_is_refused(tmp_path):
    settings, _ = stopped_run(tmp_path)
    path = tmp_path / CHECKPOINT_NAME
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(WeightsError, match="Begin anew"):
        load_checkpoint(tmp_path, start(FewWeightsNetwork(), settings), settings, **RUN)


def test_a_process_that_is_not_the_first_writes_nothing(tmp_path):
    from SegAnyPETLib.finetune.distributed import Processes

    settings = small_run()
    state = start(FewWeightsNetwork(), settings)
    save_checkpoint(tmp_path, state, settings, **RUN, processes=Processes(rank=1, count=2))
    assert list(tmp_path.iterdir()) == []

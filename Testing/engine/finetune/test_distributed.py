"""Two processes take the steps of one with the double batch; started as `torchrun` does it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from few_weights import CPU, BrightBalls, FewWeightsNetwork, small_run
from safetensors.torch import load_file

from SegAnyPETLib.finetune.distributed import ALONE, joined_processes, part_of
from SegAnyPETLib.finetune.loop import start, train

LONGEST_S = 100
TOGETHER = """
import json, sys
from pathlib import Path
from safetensors.torch import save_file
from few_weights import CPU, BrightBalls, FewWeightsNetwork, small_run
from SegAnyPETLib.errors import ModelError
from SegAnyPETLib.finetune.checkpointing import load_checkpoint, save_checkpoint
from SegAnyPETLib.finetune.distributed import joined_processes
from SegAnyPETLib.finetune.loop import start, train

out = Path(sys.argv[1])
run = {"base_sha256": "ab", "manifest_fingerprint": "cd"}
with joined_processes(device="cpu", patience_s=30) as processes:
    for method, batch in (("hq", 1), ("plain", 3), ("cpcl", 2)):
        settings = small_run(method=method, batch=batch, steps=12, validate_every=5)
        folder = out / f"{method}{processes.rank}"
        folder.mkdir()

        def begin():
            return start(FewWeightsNetwork(), settings)

        state = begin()
        ways = {"device": CPU, "processes": processes, "validate": lambda weights: float(weights["mix.bias"][0])}
        # Only the second process wants to pause; both do.
        train(state, BrightBalls(), settings, after_step=lambda now: processes.rank == 1 and now.step == 7, **ways)
        save_checkpoint(out / f"{method}0", state, settings, **run, processes=processes)
        processes.any(True)  # written before it is read
        state = begin()
        load_checkpoint(out / f"{method}0", state, settings, **run, processes=processes)
        if state.step != 7:
            sys.exit(3)
        train(state, BrightBalls(), settings, **ways)
        save_file(state.averaged, folder / "weights.safetensors")
        (folder / "history.json").write_text(json.dumps(state.history))
    try:
        processes.require_equal(processes.rank, what="checkpoint")
    except ModelError as error:
        (out / f"refused{processes.rank}").write_text(str(error))
if sys.platform == "linux":  # who still has torch's threads when Python ends may be aborted by them
    names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    if any("gloo" in name for name in names):
        sys.exit(f"Expected no thread of the group that was left; found {names}.")
"""


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """The folder in which two processes left what they learned."""
    folder = tmp_path_factory.mktemp("together")
    script = folder / "script.py"
    script.write_text(TOGETHER)
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[3])])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "TORCHELASTIC_ERROR_FILE": ""}
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script), str(folder)]
    done = subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=LONGEST_S, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.parametrize(("method", "batch"), [("hq", 1), ("plain", 3), ("cpcl", 2)])
def test_two_processes_learn_what_one_learns_with_the_double_batch(together, method, batch):
    import json

    settings = small_run(method=method, batch=2 * batch, steps=12)
    state = start(FewWeightsNetwork(), settings)
    train(state, BrightBalls(), settings, device=CPU)
    first, second = (load_file(together / f"{method}{rank}" / "weights.safetensors") for rank in (0, 1))
    for name, value in state.averaged.items():
        assert torch.equal(first[name], second[name])
        torch.testing.assert_close(first[name], value, atol=2e-6, rtol=1e-5)
    histories = [json.loads((together / f"{method}{rank}" / "history.json").read_text()) for rank in (0, 1)]
    assert histories[0] == histories[1]
    assert [line.get("validation") is not None for line in histories[0]] == [n in (5, 10, 12) for n in range(1, 13)]
    for found, wanted in zip(histories[0], state.history, strict=True):
        for name, value in wanted.items():
            assert found[name] == pytest.approx(value, abs=1e-5), name
    if method == "cpcl":
        assert state.history[-1]["offset_mm"] > 0  # the labels of both were put together


def test_only_the_first_process_writes_the_checkpoint(together):
    written = {path.parent.name for path in together.glob("*/checkpoint.safetensors")}
    assert written == {"hq0", "plain0", "cpcl0"}


def test_processes_that_found_different_checkpoints_stop(together):
    for rank in (0, 1):
        assert "found [0, 1]" in (together / f"refused{rank}").read_text()


def test_one_process_alone_needs_nobody(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined_processes() as processes:
        assert processes is ALONE
    rows = np.ones((3, 2))
    assert ALONE.together(rows, [0]) is rows
    assert (ALONE.added(2.5), ALONE.from_first(0.25), ALONE.any(False)) == (2.5, 0.25, False)


@pytest.mark.parametrize("count", [1, 4, 7])
def test_parts_hold_everything_once_and_are_even(count):
    parts = [part_of(count, index=n, parts=3) for n in range(3)]
    assert [n for part in parts for n in part] == list(range(count))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1

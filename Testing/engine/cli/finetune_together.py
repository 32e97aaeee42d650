"""What becomes of two processes that fine-tune together, each told by the environment what `torchrun` would tell.

As a program: `finetune_together.py disturbed|killed FOLDER MANIFEST` leaves what happened in FOLDER/found.json. All
processes are forked from this one, which has loaded torch.
"""

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import ClassVar

import torch
from small_finetuning import make_finetuning_small

from SegAnyPETLib.cli import main

LONGEST_S = 150  # of all


def load_before_forking():
    """What every process would load for itself, for seconds: the figure, and what torch's optimizers bring along."""
    import SegAnyPETLib.finetune.card_figure  # noqa: F401

    torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])


class Pair:
    """Two processes with the same arguments; what they say goes to files."""

    living: ClassVar[set[int]] = set()

    def __init__(self, folder, name, *arguments):
        self.files = [folder / f"{name}{rank}.txt" for rank in (0, 1)]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.pids = [self._started(rank, port, arguments) for rank in (0, 1)]
        self.codes = {}

    def _started(self, rank, port, arguments):
        pid = os.fork()
        if pid:
            self.living.add(pid)
            return pid
        os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2")
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
        code = 99  # of a traceback
        with self.files[rank].open("w") as stream:
            os.dup2(stream.fileno(), 2)
            os.dup2(stream.fileno(), 1)
            try:
                code = main(["finetune", *arguments])
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)

    def kill(self, *ranks):
        for rank in ranks:
            os.kill(self.pids[rank], signal.SIGKILL)

    def ended(self):
        """How both ended, as `subprocess` says it, and what they said."""
        codes = []
        for pid in self.pids:
            codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            self.living.remove(pid)
        return {"codes": codes, "said": [path.read_text() for path in self.files]}


def wait_for(what):
    while not what():
        time.sleep(0.01)


def give_up(*_):
    raise TimeoutError


def last_line(run):
    """The newest whole line of progress; an empty one before the first."""
    path = run / "progress.jsonl"
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return json.loads(lines[-1]) if lines else {"phase": "", "step": 0}


def facts_of(run):
    found = [path for path in run.iterdir() if path.name != "alive"]
    return {path.name: (path.stat().st_mtime_ns, path.stat().st_ino) for path in found}


def disturbed(folder, begin):
    """Paused, refused to a second pair, one killed; resumed, and stopped by a wish."""
    run = folder / "run"
    out = ("--out", str(run), "--quiet")
    pair = Pair(folder, "first", *begin, "--steps", "500", *out, "--name", "disturbed")
    wait_for(lambda: last_line(run)["step"] >= 1)
    main(["finetune", *out, "--ask", "pause"])
    wait_for(lambda: last_line(run)["phase"] == "paused")
    paused, before = last_line(run)["step"], facts_of(run)
    second = Pair(folder, "second", *out, "--resume").ended()
    time.sleep(1.2)  # longer than two looks at the wish
    is_still = last_line(run)["step"] == paused and facts_of(run) == before
    pair.kill(1)
    one_killed = pair.ended()
    pair = Pair(folder, "resumed", *out, "--resume")
    wait_for(lambda: last_line(run)["step"] > paused)
    main(["finetune", *out, "--ask", "stop"])
    return {"second": second, "is_still": is_still, "one_killed": one_killed, "stopped": pair.ended()}


def killed(folder, begin):
    """Once without an interruption; once both killed, and resumed."""
    five = (*begin, "--steps", "5", "--quiet")
    whole = Pair(folder, "whole", *five, "--out", str(folder / "whole"), "--name", "whole").ended()
    out = ("--out", str(folder / "killed"), "--quiet")
    pair = Pair(folder, "killed", *five, *out, "--name", "killed")
    wait_for(lambda: last_line(folder / "killed")["step"] >= 2)
    pair.kill(0, 1)
    return {"whole": whole, "killed": pair.ended(), "resumed": Pair(folder, "resumed", *out, "--resume").ended()}


if __name__ == "__main__":
    make_finetuning_small(setattr, asks_models=False)
    load_before_forking()
    there, cohort = (Path(argument) for argument in sys.argv[2:])
    begin = ("--preset", "quick", "--method", "hq", "--parts", "decoder", "--device", "cpu", "--cohort", str(cohort))
    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(LONGEST_S)
    try:
        found = {"disturbed": disturbed, "killed": killed}[sys.argv[1]](there, begin)
    finally:
        for pid in Pair.living:  # a pair that pauses would outlive us
            os.kill(pid, signal.SIGKILL)
    (there / "found.json").write_text(json.dumps(found))

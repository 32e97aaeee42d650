"""Several processes that train together, each on its part of every step.

    torchrun --standalone --nproc-per-node 2 -m SegAnyPETLib finetune ...

Every process has all the weights and draws all the crops of a step, but teaches only its own part; gradients, and what
was learned about the careless labels, are added over the processes. So N processes with a batch of b take the steps of
one process with a batch of N b, but for rounding. The gradients are added here and not by torch's
`DistributedDataParallel`, because that watches calls of `forward`, which a promptable network does not have.

Where one process ends, the others notice at the next word and end with an error. While the run pauses they keep
talking, and before the first compares and writes alone they leave, so that nobody waits longer than patience lasts.
Checkpoints are read by every process and written by the first, so several machines need a folder that all can see.
The path on GPUs (NCCL) has been written with care and never been run.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn

from SegAnyPETLib.errors import ModelError

PATIENCE_S = 2 * 3600.0  # how long one process waits for the others: the first may be validating on a CPU


def part_of(count: int, *, index: int, parts: int) -> range:
    """Which of `count` things belong to one of several parts; all sizes differ by one at most."""
    return range(count * index // parts, count * (index + 1) // parts)


@dataclass(frozen=True)
class Processes:
    """The processes of a run, seen from one of them; alone where nothing is said.

    Attributes:
        rank: Number of this one.
        count: Of all.
        device: What messages travel on: the GPU of this process, or the CPU.
    """

    rank: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def writes(self) -> bool:
        """Whether this is the process that writes files and speaks to people."""
        return self.rank == 0

    def part(self, count: int) -> range:
        """Which of `count` crops this process looks at."""
        return part_of(count, index=self.rank, parts=self.count)

    def together(self, values: NDArray[np.float64], own: Sequence[int]) -> NDArray[np.float64]:
        """Rows (N, ...) that each process filled for its own crops, put together; changes nothing where alone."""
        if self.count == 1:
            return values
        filled = torch.zeros(values.shape, dtype=torch.float64)
        filled[list(own)] = torch.from_numpy(values[list(own)])
        return self._added(filled).numpy()

    def add_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Add the gradients of all processes, in place, in one message."""
        if self.count == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if not gradients:
            return
        message = torch.cat([gradient.reshape(-1) for gradient in gradients])
        self._add(message)
        start = 0
        for gradient in gradients:
            gradient.copy_(message[start : start + gradient.numel()].view(gradient.shape))
            start += gradient.numel()

    def added(self, number: float) -> float:
        """The sum of a number over all processes.

        Raises:
            ModelError: Another process has ended, as in all that is done together.
        """
        return number if self.count == 1 else float(self._added(torch.tensor([number], dtype=torch.float64))[0])

    def any(self, flag: bool) -> bool:
        """Whether it is so for any process."""
        return self.added(float(flag)) > 0

    def from_first(self, number: float | None) -> float:
        """What the first process found; the others give None."""
        return self.added(0.0 if self.rank or number is None else number)

    def require_equal(self, number: int, *, what: str) -> None:
        """Stop all where they do not agree.

        Raises:
            ModelError: Another process has another number.
        """
        rows = self.together(np.full((self.count, 1), float(number)), [self.rank])
        if self.count > 1 and len(set(rows[:, 0].tolist())) > 1:
            msg = (
                f"Expected the same {what} in all {self.count} processes; found {[int(n) for n in rows[:, 0]]}. Give "
                "them one folder that all can see."
            )
            raise ModelError(msg)

    def leave(self) -> None:
        """Speak to the others no more, so that nobody waits for what the first does alone; may be called twice.

        Raises:
            ModelError: Another process has ended before.
        """
        if self.count > 1 and distributed.is_initialized():
            self.any(False)  # who leaves early breaks connections that others still read from
            distributed.destroy_process_group()

    @contextmanager
    def all_or_none(self) -> Iterator[None]:
        """Let the block, in which no process speaks to another, fail in all where it fails in one.

        Raises:
            ModelError: It failed in another process, which says why.
        """
        try:
            yield
        except BaseException:
            with suppress(ModelError):  # the others may be gone already; what went wrong here is what counts
                self.any(True)
            raise
        if self.any(False):
            msg = f"Expected all {self.count} processes to begin; another one could not, and says why itself."
            raise ModelError(msg)

    def _added(self, tensor: Tensor) -> Tensor:
        message = tensor.to(self.device)
        self._add(message)
        return message.cpu()

    def _add(self, message: Tensor) -> None:
        """Sum a tensor over all processes, in place."""
        try:
            distributed.all_reduce(message)
        except RuntimeError as error:  # what torch raises when a connection breaks, or patience ends
            msg = (
                f"Expected all {self.count} processes to go on; another one has ended or does not answer. It says why "
                "itself, unless it was killed. Go on with --resume and as many processes."
            )
            raise ModelError(msg) from error


ALONE = Processes()


@contextmanager
def joined_processes(*, device: str = "auto", patience_s: float = PATIENCE_S) -> Iterator[Processes]:
    """Join the processes that ``torchrun`` started, and leave them at the end; `ALONE` where it started none.

    Args:
        device: ``cpu``, or ``auto`` or ``cuda`` for the GPU with this process's number on its machine.
        patience_s: How long to wait for a process that does not answer before all end with torch's error.

    Raises:
        ModelError: There are fewer GPUs than processes on this machine, or the processes do not find each other.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield ALONE
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    uses_gpu = device != "cpu" and torch.cuda.is_available()
    if uses_gpu and local >= torch.cuda.device_count():
        msg = f"Expected a GPU for each process; found {torch.cuda.device_count()}. Start fewer, or use the CPU."
        raise ModelError(msg)
    place = torch.device("cuda", local) if uses_gpu else torch.device("cpu")
    if uses_gpu:
        torch.cuda.set_device(place)
    # Its functions hold on to the group that is there when they are first imported, which optimizers do at their first
    # step; a group that is held keeps its threads after it was destroyed, and these may abort a process that ends.
    from torch.distributed.nn import functional  # noqa: F401

    try:
        distributed.init_process_group("nccl" if uses_gpu else "gloo", timeout=timedelta(seconds=patience_s))
    except (RuntimeError, ValueError) as error:
        msg = f"Expected {count} processes that find each other; found: {error}. Start them with torchrun."
        raise ModelError(msg) from error
    processes = Processes(distributed.get_rank(), distributed.get_world_size(), place)
    try:
        yield processes
        processes.leave()
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()

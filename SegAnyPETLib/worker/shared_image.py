"""The volume in shared memory: made and given back by the client, looked at by the child."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import weakref
from collections.abc import Iterator, Sequence
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.errors import WorkerError
from SegAnyPETLib.suv import SUVVolume

_TRACKER_IS_OFF = threading.Lock()
LINUX_FOLDER = Path("/dev/shm")  # where Linux keeps named memory


class SharedImage:
    """One volume, copied into shared memory when it is first needed there.

    Args:
        volume: The image; not kept once it was copied.
    """

    def __init__(self, volume: SUVVolume) -> None:
        self.grid = volume.grid
        self.kind = volume.kind
        self._volume: SUVVolume | None = volume
        self._memory: SharedMemory | None = None
        self._finalizer: weakref.finalize[[SharedMemory], SharedImage] | None = None
        self._copying = threading.Lock()  # held for long; `release` does not take it
        self._state = threading.Lock()
        self._is_released = False

    def fill(self) -> str:
        """The name of the memory, filled; slow the first time.

        Raises:
            WorkerError: There is not enough shared memory, or the image was released.
        """
        with self._copying:
            with self._state:
                if self._memory is not None:
                    return self._memory.name
                volume = self._volume
                if volume is None:
                    msg = "Expected an image; it was replaced by another. Ask again for the new one."
                    raise WorkerError(msg)
            memory = _create(volume.array.nbytes)
            # In one piece: under Slicer other threads get Python's lock only now and then.
            np.copyto(_view(memory, volume.grid.shape_kji), volume.array)
            with self._state:
                self._volume = None
                if self._is_released:
                    _give_back(memory)
                else:
                    self._memory = memory
                    self._finalizer = weakref.finalize(self, _give_back, memory)
                return memory.name

    def release(self) -> None:
        """Give the memory back; who is still looking at it may go on."""
        with self._state:
            self._is_released = True
            self._volume = None
            self._memory = None
            if self._finalizer is not None:
                self._finalizer()


class AttachedImage:
    """The child's view of the volume.

    Args:
        name: Of the shared memory.
        shape_kji: Of the volume.

    Raises:
        WorkerError: There is no such memory, or it is too small.
    """

    def __init__(self, name: str, shape_kji: Sequence[int]) -> None:
        try:
            with _untracked():
                self._memory = SharedMemory(name)
        except (OSError, ValueError) as error:
            msg = f"Expected the image in shared memory; found none ({error}). Choose the image again."
            raise WorkerError(msg) from error
        if self._memory.size < 4 * int(np.prod(shape_kji, dtype=np.int64)):
            msg = f"Expected shared memory for an image of {tuple(shape_kji)}; found {self._memory.size} bytes."
            raise WorkerError(msg)
        self.array: NDArray[np.float32] | None = _view(self._memory, shape_kji)
        self.array.setflags(write=False)

    def close(self) -> bool:
        """Let go of the memory; False while somebody still holds a view of it."""
        self.array = None
        try:
            self._memory.close()
        except BufferError:
            return False
        return True

    def remove(self) -> None:
        """Remove the memory's name, for a client that died before it could."""
        with _untracked(), contextlib.suppress(FileNotFoundError):
            self._memory.unlink()


def _view(memory: SharedMemory, shape_kji: Sequence[int]) -> NDArray[np.float32]:
    # `frombuffer` and not `ndarray(buffer=)`: only the first keeps the memory from being closed under the view.
    buffer = memory.buf
    if buffer is None:
        msg = "Expected open shared memory; it was closed. Choose the image again."
        raise WorkerError(msg)
    count = int(np.prod(shape_kji, dtype=np.int64))
    return np.frombuffer(buffer, dtype=np.float32, count=count).reshape(tuple(shape_kji))


def _create(size: int) -> SharedMemory:
    try:
        with _untracked():
            memory = SharedMemory(create=True, size=size)
    except OSError as error:
        raise _too_little(size, str(error)) from error
    file = LINUX_FOLDER / memory.name
    if sys.platform == "linux" and file.exists():
        # Linux gives pages out when they are written to, and kills who writes to one more than there are.
        handle = os.open(file, os.O_RDWR)
        try:
            os.posix_fallocate(handle, 0, size)
        except OSError as error:
            _give_back(memory)
            raise _too_little(size, str(error)) from error
        finally:
            os.close(handle)
    return memory


def _too_little(size: int, found: str) -> WorkerError:
    return WorkerError(f"Expected {size / 2**20:.0f} MiB of shared memory for the image; found: {found}. Free some.")


def _give_back(memory: SharedMemory) -> None:
    with _untracked(), contextlib.suppress(FileNotFoundError):
        memory.unlink()
    with contextlib.suppress(BufferError):  # at exit in the middle of the copy; the system closes it then
        memory.close()


@contextlib.contextmanager
def _untracked() -> Iterator[None]:
    """Without Python's resource tracker.

    It would unlink a segment when the first process that attached to it ends, and it is a process of its own, started
    by `sys.executable`, which is not Python inside of Slicer. Python 3.13 has `track=False` for this.
    """
    with _TRACKER_IS_OFF:
        register, unregister = resource_tracker.register, resource_tracker.unregister
        resource_tracker.register = resource_tracker.unregister = _not_at_all  # type: ignore[assignment]  # see above
        try:
            yield
        finally:
            resource_tracker.register, resource_tracker.unregister = register, unregister


def _not_at_all(_name: str, _kind: str) -> None:
    """Track nothing."""

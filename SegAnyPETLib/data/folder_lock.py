"""A folder in which one process works at a time, told by a lock of the operating system.

The system gives such a lock back when its process ends, however that happens, so nothing is left behind by a kill or a
power cut. The file of the lock stays: removing it would let two processes lock two files of the same name. It says who
holds the lock, for the message to others.

Shared folders: SMB, NFS and most others pass locks on to all machines, but some mounts (NFS with ``nolock`` or
``local_lock``, Lustre with ``localflock``) keep them to one machine, and a few file systems refuse them. So a lock is
believed where the last holder was of this machine; else the caller's sign of life decides, which two processes that
start within the same seconds can pass both.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from SegAnyPETLib.errors import OutputError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LOCK_NAME = "lock"
LONGEST = 1024  # bytes of a holder
LONGEST_HOST = 255
FAR = 1 << 30  # Windows forbids others to read what is locked: so this byte, and not those that say who
HELD = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK}
REFUSED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}  # the file system has no locks


@dataclass(frozen=True)
class LockHolder:
    """Who holds a lock, or held it last.

    Attributes:
        pid: Number of the process.
        host: Name of its machine.
    """

    pid: int
    host: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


@contextmanager
def locked_folder(folder: Path, *, shows_life: Callable[[], bool]) -> Iterator[None]:
    """Be the only process that works in a folder while the block runs.

    A process that was forked inside of the block keeps the lock too; one that was started as a new program does not.

    Args:
        folder: It exists.
        shows_life: Whether somebody seems to work there; asked where the lock cannot tell, see above.

    Raises:
        OutputError: Another process works there, or the folder may not be written; nothing was changed.
    """
    try:
        descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        msg = f"Cannot use the folder {folder}: {error.strerror}. Choose a folder you may write to."
        raise OutputError(msg) from error
    try:
        try:
            is_taken = _take(descriptor)
            holder = _read_holder(descriptor)
            is_elsewhere = is_taken is None or (holder is not None and holder.host != socket.gethostname())
            if is_taken is False or (is_elsewhere and shows_life()):
                raise OutputError(_in_use(folder, holder, is_certain=is_taken is False))
            _write_holder(descriptor)
        except OSError as error:
            msg = f"Cannot lock the folder {folder}: {error.strerror}. Choose a folder on another disk."
            raise OutputError(msg) from error
        yield
    finally:
        os.close(descriptor)  # gives the lock back


def _take(descriptor: int) -> bool | None:
    """True where the lock is ours now, False where it is another's, None where the file system has none."""
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, FAR, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in HELD:
            return False
        if error.errno in REFUSED:
            return None
        raise
    return True


def _read_holder(descriptor: int) -> LockHolder | None:
    os.lseek(descriptor, 0, os.SEEK_SET)
    try:
        found = json.loads(os.read(descriptor, LONGEST))
        pid, host = found["pid"], found["host"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(pid, int) or not isinstance(host, str) or not host.isprintable():
        return None
    return LockHolder(pid, host[:LONGEST_HOST])


def _write_holder(descriptor: int) -> None:
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode())


def _in_use(folder: Path, holder: LockHolder | None, *, is_certain: bool) -> str:
    who = "another process" if holder is None else str(holder)
    does = "works" if is_certain else "worked a moment ago"
    advice = "" if is_certain else " If it was killed, try again in half a minute."
    return (
        f"Expected a folder in which nobody works; {who} {does} in {folder}. Nothing was changed. Wait for it, ask it "
        f"to stop, or choose another folder.{advice}"
    )

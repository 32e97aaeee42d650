"""Whether a process of this machine is there still."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def may_be_alive(pid: int) -> bool:
    """False where a process of this machine has surely ended; True where it runs, or nobody can tell.

    One that has ended and was not collected by its parent yet does not run (seen on Linux only). On Windows nobody can
    tell: signal 0 would end the process there. A number may have been given to another process since; whoever must not
    be fooled by that needs a lock (`folder_lock`) or a heartbeat beside it.

    Args:
        pid: Number of the process.
    """
    if os.name != "posix":
        return True
    if pid < 1:
        return False  # these would ask about groups of processes
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True  # it is there, but not ours
    with suppress(OSError):  # no Linux, or it ended just now
        return (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0] != "Z"
        )
    return True

"""Published weights, downloaded in a process of its own: the application stays alive, and stopping is ending it.

Run as a script, this file is that process. Progress comes through a file: a pipe would need a thread of ours, which in
Slicer runs only while the main thread runs Python.
"""

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DownloadState:
    """How far a download is.

    Attributes:
        here: Bytes that have arrived.
        expected: Bytes in all; None while nobody said so.
        isDone: It ended, well or not.
        problem: Why it failed; empty where it did not.
    """

    here: int = 0
    expected: int | None = None
    isDone: bool = False
    problem: str = ""


class WeightsDownload:
    """One download at a time; what has arrived is kept when it is stopped, and the next one goes on from there."""

    def __init__(self, *, endpoint=None):
        """Prepare a download.

        Args:
            endpoint: Address of the hub or of a mirror; the hub where None.
        """
        self._endpoint = endpoint
        self._process = self._folder = None

    @property
    def isRunning(self):
        """Whether a download was started and its end not yet seen."""
        return self._process is not None

    def start(self, name):
        """Download a model's weights. The user must have agreed to licence and source.

        Args:
            name: Registered name of the model.
        """
        from SegAnyPETLib.worker.python_command import no_console, python_environment, python_program

        self.stop()
        self._folder = tempfile.TemporaryDirectory(prefix="SegAnyPET-")
        command = [python_program(), __file__, name, str(self._stateFile), *filter(None, [self._endpoint])]
        self._process = subprocess.Popen(
            command,
            env=python_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            creationflags=no_console(),
        )

    def poll(self):
        """How far it is now; after its end, once more and for the last time."""
        if not self.isRunning:
            return DownloadState(isDone=True)
        code = self._process.poll()
        state = self._read()
        if code is None:
            return state
        self._end()
        problem = state.problem or ("" if code == 0 else "The download ended without saying why. Try again.")
        return DownloadState(state.here, state.expected, isDone=True, problem=problem)

    def stop(self):
        """End the download; nothing happens where none runs."""
        if self.isRunning:
            self._process.terminate()
            self._process.wait()
            self._end()

    @property
    def _stateFile(self):
        return Path(self._folder.name) / "state.json"

    def _read(self):
        try:
            return DownloadState(**json.loads(self._stateFile.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return DownloadState()

    def _end(self):
        self._process = None
        self._folder.cleanup()


def _main(name, stateFile, *endpoint):
    """Download, and write how far it is; returns the exit status."""
    from SegAnyPETLib.errors import SegAnyPETError
    from SegAnyPETLib.model import download_model
    from SegAnyPETLib.model.download import HUB

    target = Path(stateFile)

    def write(here, expected=None, problem=""):
        temporary = target.with_suffix(".new")
        temporary.write_text(json.dumps({"here": here, "expected": expected, "problem": problem}), encoding="utf-8")
        temporary.replace(target)

    try:
        download_model(name, consent=True, endpoint=endpoint[0] if endpoint else HUB, on_progress=write)
    except SegAnyPETError as error:
        write(0, problem=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.path = [
        path for path in sys.path if Path(path) != Path(__file__).resolve().parent
    ]  # ours are no top-level names
    sys.exit(_main(*sys.argv[1:]))

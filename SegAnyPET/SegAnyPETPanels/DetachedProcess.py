"""Our command line in a process of its own, which nobody waits for and closing Slicer does not end."""

import json
import subprocess
import tempfile
from pathlib import Path

from slicer.i18n import tr as _

LINES_TOLD = 3
LARGEST_ANSWER = 64 << 20  # bytes; the answer of a cohort of ten thousand cases has a tenth
_started = []  # processes outlive the panel; Python would complain of those it forgets while they run


class DetachedRun:
    """One long run of the command line, which goes on when Slicer is closed."""

    def __init__(self):
        """Run nothing yet."""
        self._process = self._console = None

    @property
    def isAlive(self):
        """Whether the process that was started here still runs."""
        return self._process is not None and self._process.poll() is None

    def start(self, arguments):
        """Start it; what it says is thrown away, what goes wrong is kept until it was told.

        Args:
            arguments: Of the command line.

        Raises:
            OSError: The process cannot be started.
        """
        self.leave()
        # Not in the folder of the run, which may be passed on: an error of the command line may name paths. Gone with
        # whoever has it open, so that nothing is left when Slicer closes before the run ends.
        self._console = tempfile.TemporaryFile()  # noqa: SIM115  open until the run is left
        self._process = launch(arguments, stdout=subprocess.DEVNULL, stderr=self._console)
        _started.append(self._process)

    def problem(self, *, usualEnds):
        """Why it ended before it had done its work; told once, empty where it did not.

        Args:
            usualEnds: Exit codes that are no problem.
        """
        if self._process is None or self._process.poll() is None:
            return ""
        problem = ""
        if self._process.poll() not in usualEnds:
            self._console.seek(0)
            problem = lastLines(self._console.read())
        self.leave()
        return problem

    def terminate(self):
        """End it at once."""
        if self.isAlive:
            self._process.terminate()

    def leave(self):
        """Care no more for it; it goes on."""
        if self._console is not None:
            self._console.close()
        self._process = self._console = None


class JSONCommand:
    """One short command at a time, whose answer is JSON; it ends with the panel."""

    def __init__(self):
        """Run nothing yet."""
        self._process = self._scratch = None

    @property
    def isRunning(self):
        """Whether a command was started and its end not yet seen."""
        return self._process is not None

    def start(self, arguments, *, module="SegAnyPETLib"):
        """Start a command; one that still runs is ended.

        Args:
            arguments: Of the command line.
            module: Another module of ours to run instead.

        Raises:
            OSError: The process cannot be started.
        """
        self.stop()
        self._scratch = tempfile.TemporaryDirectory(prefix="SegAnyPET-")
        with self._path("answer.json").open("wb") as answer, self._path("problems.txt").open("wb") as problems:
            self._process = launch(arguments, stdout=answer, stderr=problems, module=module)

    def poll(self):
        """The parsed answer and why there is none, once the command ended; None while it goes on."""
        if self._process is None or self._process.poll() is None:
            return None
        code = self._process.poll()
        answer, problem = readJSON(self._path("answer.json"), most=LARGEST_ANSWER), ""
        if answer is None or code != 0:
            problem = lastLinesOf(self._path("problems.txt"))
        self._end()
        return answer, problem

    def stop(self):
        """End the command; nothing happens where none runs."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._end()

    def _path(self, name):
        return Path(self._scratch.name) / name

    def _end(self):
        self._process = None
        self._scratch.cleanup()


def launch(arguments, *, stdout, stderr, module="SegAnyPETLib"):
    """Start one of our modules in a process that does not end with Slicer.

    Args:
        arguments: After the module's name.
        stdout: A file for what it says.
        stderr: A file for what goes wrong.
        module: The module to run; the command line.

    Returns:
        The process.
    """
    from SegAnyPETLib.worker.python_command import no_console, python_command, python_environment

    return subprocess.Popen(
        python_command(module, *arguments),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        env=python_environment(),
        creationflags=no_console() | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        start_new_session=True,  # closing Slicer, or the terminal it was started from, is not for the run
    )


def reapEnded():
    """Take note of runs that ended; they would else be there still, for who asks the system."""
    for process in _started:
        process.poll()


def lastLines(log):
    """The end of what a process said, in bytes; it says why the process ended."""
    said = [line.strip() for line in log.decode("utf-8", errors="replace").splitlines() if line.strip()][-LINES_TOLD:]
    return "\n".join(said) or _("The process ended without saying why.")


def lastLinesOf(path):
    """The same of a file; it may have been cleared away with other temporary ones."""
    try:
        return lastLines(Path(path).read_bytes())
    except OSError:
        return lastLines(b"")


def readJSON(path, *, most):
    """What a file says; None where it is absent, longer than `most` bytes, or no JSON."""
    try:
        with Path(path).open("rb") as stream:
            raw = stream.read(most + 1)
        return json.loads(raw) if len(raw) <= most else None
    except (OSError, ValueError, RecursionError):
        return None

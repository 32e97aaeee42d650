"""One process per folder: the second is refused and changes nothing, and a lock ends with its process."""

import errno
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from SegAnyPETLib.data.folder_lock import LOCK_NAME, locked_folder
from SegAnyPETLib.errors import OutputError

HOLDING = """
import sys
from pathlib import Path
from SegAnyPETLib.data.folder_lock import locked_folder
with locked_folder(Path(sys.argv[1]), shows_life=lambda: False):
    print("held", flush=True)
    sys.stdin.read()
"""


def nobody():
    return False


def somebody():
    return True


@pytest.fixture
def a_holder(tmp_path):
    """Another process that works in the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def facts_of(folder):
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.iterdir()}


def test_a_second_process_is_told_who_works_there_and_changes_nothing(a_holder, tmp_path):
    before = facts_of(tmp_path)
    words = f"process {a_holder.pid} on {socket.gethostname()} works"
    with pytest.raises(OutputError, match=words), locked_folder(tmp_path, shows_life=nobody):
        pass
    assert facts_of(tmp_path) == before


def test_a_lock_ends_with_a_killed_process_whatever_signs_of_life_it_left(a_holder, tmp_path):
    a_holder.kill()
    a_holder.wait()
    with locked_folder(tmp_path, shows_life=somebody):
        pass


def test_a_lock_is_given_back_after_an_error_too(tmp_path):
    with pytest.raises(KeyError), locked_folder(tmp_path, shows_life=nobody):
        raise KeyError
    with locked_folder(tmp_path, shows_life=nobody):
        pass


def test_a_program_started_meanwhile_does_not_keep_the_lock(tmp_path):
    with locked_folder(tmp_path, shows_life=nobody):
        child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    with locked_folder(tmp_path, shows_life=nobody):
        child.communicate()


def test_after_a_holder_on_another_machine_signs_of_life_decide(tmp_path):
    record = json.dumps({"pid": 1, "host": "elsewhere"})
    (tmp_path / LOCK_NAME).write_text(record)
    for _ in range(2):  # being refused must not make the second attempt pass
        with pytest.raises(OutputError, match="process 1 on elsewhere"), locked_folder(tmp_path, shows_life=somebody):
            pass
        assert (tmp_path / LOCK_NAME).read_text() == record
    with locked_folder(tmp_path, shows_life=nobody):
        assert json.loads((tmp_path / LOCK_NAME).read_text())["host"] == socket.gethostname()


def test_where_a_file_system_has_no_locks_signs_of_life_decide(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(pytest.importorskip("fcntl"), "flock", refuse)
    with pytest.raises(OutputError, match="half a minute"), locked_folder(tmp_path, shows_life=somebody):
        pass
    with locked_folder(tmp_path, shows_life=nobody):
        pass


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"[" * 900, b'{"pid": "1"}', b'{"pid": 1, "host": "\\u001b[2J"}']
)
def test_nonsense_in_the_file_does_no_harm(tmp_path, content):
    (tmp_path / LOCK_NAME).write_bytes(content)
    with locked_folder(tmp_path, shows_life=somebody):
        pass


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(OutputError, match="may write to"), locked_folder(tmp_path / "gone", shows_life=nobody):
        pass

"""Results appear whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from SegAnyPETLib.data.atomic import write_atomically, write_folder_atomically
from SegAnyPETLib.errors import OutputError


def test_a_file_appears_only_when_it_is_complete(tmp_path):
    target = tmp_path / "mask.seg.nrrd"
    with write_atomically(target) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.endswith(".seg.nrrd")
        temporary.write_bytes(b"whole")
        assert not target.exists()
    assert target.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failure_keeps_the_old_file_and_leaves_nothing_else(tmp_path):
    target = tmp_path / "table.csv"
    target.write_text("old")

    def fail() -> None:
        with write_atomically(target) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_is_told_with_path_and_cause(tmp_path):
    target = tmp_path / "mask.nii.gz"

    def fill() -> None:
        with write_atomically(target) as temporary:
            temporary.write_bytes(b"part")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OutputError, match=r"mask\.nii\.gz: No space left on device.*free space"):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_found_on_flushing_is_told_too(tmp_path, monkeypatch):
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)

    def write() -> None:
        with write_atomically(tmp_path / "a.csv") as temporary:
            temporary.write_text("x")

    with pytest.raises(OutputError, match="No space left"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_real_full_device_is_an_output_error():
    device = Path("/dev/full")
    if not device.exists():
        pytest.skip("this system has no /dev/full")

    def write() -> None:
        with write_atomically("/dev/shm/seganypet-full.csv"), device.open("w") as stream:
            stream.write("x" * 100000)

    with pytest.raises(OutputError, match="No space left"):
        write()
    assert not Path("/dev/shm/seganypet-full.csv").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_told(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="Permission denied"), write_atomically(tmp_path / "a.csv") as temporary:
            temporary.write_text("x")
    finally:
        tmp_path.chmod(0o700)


def test_a_refused_rename_is_told_and_leaves_nothing(tmp_path, monkeypatch):
    def refuse(_self: Path, _target: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "replace", refuse)

    def write() -> None:
        with write_atomically(tmp_path / "a.csv") as temporary:
            temporary.write_text("x")

    with pytest.raises(OutputError, match="Permission denied"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_a_folder_as_file_and_a_forgotten_write_are_told(tmp_path):
    with pytest.raises(OutputError, match="does not exist"), write_atomically(tmp_path / "no" / "a.csv"):
        pass
    with pytest.raises(OutputError, match="is a folder"), write_atomically(tmp_path):
        pass
    with pytest.raises(OutputError, match="No such file"), write_atomically(tmp_path / "a.csv"):
        pass


def test_a_folder_appears_only_when_it_is_complete(tmp_path):
    target = tmp_path / "new" / "study"
    with write_folder_atomically(target) as temporary:
        (temporary / "1.dcm").write_text("x")
        assert not target.exists()
    assert [p.name for p in target.iterdir()] == ["1.dcm"]
    assert [p.name for p in target.parent.iterdir()] == ["study"]


def test_an_empty_folder_may_be_filled_and_a_failed_one_stays_empty(tmp_path):
    target = tmp_path / "study"
    target.mkdir()

    def fail() -> None:
        with write_folder_atomically(target) as temporary:
            (temporary / "1.dcm").write_text("x")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OutputError, match="No space left"):
        fail()
    assert list(tmp_path.iterdir()) == [target]
    with write_folder_atomically(target) as temporary:
        (temporary / "1.dcm").write_text("x")
    assert [p.name for p in target.iterdir()] == ["1.dcm"]

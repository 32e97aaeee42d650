"""Studies out of ZIP archives, harmless and hostile."""

from __future__ import annotations

import stat
import zipfile

import numpy as np
import pytest
from study_folders import add_ct, add_series, study_uid

from SegAnyPETLib.batch.finding import find_studies, read_found_pet, search_sources, zip_archive
from SegAnyPETLib.errors import InputError, OutputError


@pytest.fixture
def an_archive(tmp_path):
    files = add_series(tmp_path / "in" / "pet", 1) + add_ct(tmp_path / "in" / "ct")
    path = tmp_path / "study.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, f"DOE JOHN/{file.parent.name}/{file.name}")
        archive.writestr("DOE JOHN/readme.txt", "hello")
        archive.writestr("__MACOSX/._readme.txt", "hello")
    return path


def test_the_studies_of_an_archive_are_found(an_archive, workspace):
    found = search_sources([an_archive], workspace=workspace)
    (study,) = found.studies
    assert study.study_instance_uid == study_uid(1)
    assert (len(study.pet.files), len(study.ct.files)) == (5, 5)
    assert study.source == f"{an_archive}: DOE JOHN/pet"
    assert read_found_pet(study).values[1, 0, 0] == 1001 * 0.5
    assert found.aside == {"file(s) that are not DICOM": 2}


def test_members_lie_under_numbers_in_a_private_workspace(an_archive, workspace):
    find_studies([an_archive], workspace=workspace)
    assert stat.S_IMODE(workspace.stat().st_mode) == 0o700
    assert "DOE" not in " ".join(str(path.relative_to(workspace)) for path in workspace.rglob("*"))


def test_the_same_archive_is_unpacked_once_and_remains_of_a_killed_run_go(an_archive, workspace):
    first = find_studies([an_archive], workspace=workspace)
    assert find_studies([an_archive], workspace=workspace) == first
    (folder,) = workspace.iterdir()
    folder.rename(workspace / f".0123-{folder.name}")
    assert find_studies([an_archive], workspace=workspace) == first
    assert [path.name for path in workspace.iterdir()] == [folder.name]


def hostile(path, name, *, mode=0o644, data=b"x"):
    member = zipfile.ZipInfo(name)
    member.external_attr = mode << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, data)


@pytest.mark.parametrize(
    ("name", "mode", "message"),
    [
        ("../../evil.dcm", 0o644, "leads out of it"),
        ("/etc/evil.dcm", 0o644, "leads out of it"),
        ("a\\..\\..\\evil.dcm", 0o644, "leads out of it"),
        ("C:/evil.dcm", 0o644, "leads out of it"),
        ("link.dcm", stat.S_IFLNK | 0o777, "is a link"),
    ],
)
def test_names_that_lead_out_and_links_are_refused(tmp_path, workspace, name, mode, message):
    hostile(tmp_path / "bad.zip", name, mode=mode)
    with pytest.raises(InputError, match=message):
        find_studies([tmp_path / "bad.zip"], workspace=workspace)
    assert not list(tmp_path.rglob("*.dcm"))


def test_an_encrypted_archive_is_refused(an_archive, workspace):
    data = bytearray(an_archive.read_bytes())
    at = data.find(b"PK\x01\x02")
    data[at + 8] |= 1  # bit 0 of the general purpose flag: encrypted (APPNOTE 4.4.4)
    an_archive.write_bytes(data)
    with pytest.raises(InputError, match="encrypted; unpack it yourself"):
        find_studies([an_archive], workspace=workspace)


def test_a_bomb_is_refused_before_anything_is_written(tmp_path, workspace, monkeypatch):
    monkeypatch.setattr(zip_archive, "ALWAYS_ALLOWED_BYTES", 100_000)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.dcm", np.zeros(2_000_000, dtype=np.uint8).tobytes())
    with pytest.raises(InputError, match=r"it would grow from .* to 2000000 bytes"):
        find_studies([tmp_path / "bomb.zip"], workspace=workspace)
    assert not list(workspace.iterdir())


def test_more_members_than_any_export_has_are_refused(an_archive, workspace, monkeypatch):
    monkeypatch.setattr(zip_archive, "MAX_MEMBERS", 5)
    with pytest.raises(InputError, match="12 members, at most 5"):
        find_studies([an_archive], workspace=workspace)
    monkeypatch.setattr(zip_archive, "MAX_DIRECTORY_BYTES", 100)
    with pytest.raises(InputError, match="table of contents"):
        find_studies([an_archive], workspace=workspace)


def test_an_archive_that_does_not_fit_on_the_disk_is_an_output_error(an_archive, workspace, monkeypatch):
    monkeypatch.setattr(zip_archive, "DISK_LEFT_BYTES", 1 << 60)
    with pytest.raises(OutputError, match="are free in"):
        find_studies([an_archive], workspace=workspace)


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_a_truncated_archive_is_an_input_error(an_archive, workspace, keep):
    data = an_archive.read_bytes()
    an_archive.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(InputError, match="Expected a ZIP archive"):
        find_studies([an_archive], workspace=workspace)


def test_a_damaged_member_leaves_nothing_half_unpacked(an_archive, workspace):
    data = bytearray(an_archive.read_bytes())
    at = data.find(b"PK\x01\x02") // 2
    data[at : at + 40] = bytes(40)
    an_archive.write_bytes(data)
    with pytest.raises(InputError, match="Expected a ZIP archive"):
        find_studies([an_archive], workspace=workspace)
    assert not list(workspace.iterdir())


def test_archives_inside_folders_are_counted_and_not_opened(an_archive, workspace):
    add_series(an_archive.parent / "in", 1, study=2)
    found = search_sources([an_archive.parent], workspace=workspace)
    assert any("ZIP archive(s) inside folders" in reason for reason in found.aside)
    assert not workspace.exists()

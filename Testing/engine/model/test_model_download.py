"""Downloads through the real hub client against a local server: consent, resuming, verification, records, removal."""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import numpy as np
import pytest
from hub_server import COMMIT, HubServer

from SegAnyPETLib.errors import ConsentError, ModelError, OutputError, WeightsError
from SegAnyPETLib.model import download, find_model, list_models, model_spec, models_folder, remove_model, verify_model
from SegAnyPETLib.model.download import download_model

NAME, REPOSITORY, FILENAME = "seganypet", "YichiZhang98/SegAnyPET", "seganypet_v1.pth"
CONTENT = np.random.default_rng(11).bytes(300_000)


@pytest.fixture(autouse=True)
def a_client_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No proxy between us and the local server, chunks smaller than the file, and a token that must not be sent."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 1000)
    monkeypatch.setattr("huggingface_hub.file_download.time", SimpleNamespace(sleep=lambda _seconds: None))
    huggingface_hub.close_session()
    yield
    huggingface_hub.close_session()


@pytest.fixture
def a_hub() -> Iterator[HubServer]:
    with HubServer(REPOSITORY, FILENAME, CONTENT) as hub:
        yield hub


def test_without_consent_nothing_is_sent_and_the_user_is_told_licence_size_and_source(
    a_hub: HubServer, tmp_path: Path
) -> None:
    with pytest.raises(ConsentError) as caught:
        download_model(NAME, folder=tmp_path, endpoint=a_hub.endpoint)
    for fact in (a_hub.endpoint, REPOSITORY, FILENAME, "402 MB", "Not stated by its authors", "consent=True"):
        assert fact in str(caught.value)
    assert a_hub.requests == []
    assert list(tmp_path.iterdir()) == []


def test_a_download_is_verified_and_recorded_with_revision_hash_date_and_licence(
    a_hub: HubServer, tmp_path: Path
) -> None:
    seen: list[tuple[int, int | None]] = []
    installed = download_model(
        NAME, consent=True, folder=tmp_path, endpoint=a_hub.endpoint, on_progress=lambda *count: seen.append(count)
    )
    assert installed.path.read_bytes() == CONTENT
    assert installed.origin == "downloaded"
    assert installed.record is not None
    assert installed.record.revision == COMMIT
    assert installed.record.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert installed.record.size_bytes == len(CONTENT)
    assert installed.record.licence == model_spec(NAME).licence
    assert installed.record.downloaded_at.endswith("+00:00")
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert verify_model(NAME, folder=tmp_path) == installed


def test_the_file_is_taken_from_the_revision_whose_hash_was_stated(a_hub: HubServer, tmp_path: Path) -> None:
    download_model(NAME, consent=True, folder=tmp_path, endpoint=a_hub.endpoint)
    asked = [(request.method, request.path.split("/")[4]) for request in a_hub.requests if request.host == "hub"]
    assert asked == [("HEAD", "main"), ("GET", COMMIT)]


def test_a_stored_token_is_sent_only_when_asked_for_and_never_to_the_storage(a_hub: HubServer, tmp_path: Path) -> None:
    download_model(NAME, consent=True, folder=tmp_path, endpoint=a_hub.endpoint)
    assert {request.authorization for request in a_hub.requests} == {None}
    remove_model(NAME, folder=tmp_path)
    download_model(NAME, consent=True, folder=tmp_path, endpoint=a_hub.endpoint, token=True)
    assert [(r.host, r.authorization) for r in a_hub.requests[-3:]] == [
        ("hub", "Bearer hf_secret"),
        ("hub", "Bearer hf_secret"),
        ("storage", None),
    ]


def test_a_dropped_connection_is_resumed_within_the_call(a_hub: HubServer, tmp_path: Path) -> None:
    a_hub.drops = [120_000, 50_000]
    installed = download_model(NAME, consent=True, folder=tmp_path, endpoint=a_hub.endpoint)
    assert installed.path.read_bytes() == CONTENT
    assert [request.byte_range for request in a_hub.downloads()] == [None, "bytes=120000-", "bytes=170000-"]


def test_a_download_that_was_given_up_goes_on_in_the_next_call(
    a_hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_hub.drops = [120_000]

    def fail_after_the_drop(_seconds: float) -> None:
        a_hub.storage_status = 503

    monkeypatch.setattr("huggingface_hub.file_download.time", SimpleNamespace(sleep=fail_after_the_drop))
    with pytest.raises(WeightsError, match="goes on where it stopped"):
        download_model(NAME, consent=True, folder=tmp_path, endpoint=a_hub.endpoint)
    assert find_model(NAME, folder=tmp_path).origin == "absent"
    a_hub.storage_status = 200
    installed = download_model(NAME, consent=True, folder=tmp_path, endpoint=a_hub.endpoint)
    assert installed.path.read_bytes() == CONTENT
    assert a_hub.downloads()[-1].byte_range == "bytes=120000-"
    assert sorted(path.suffix for path in installed.path.parent.iterdir()) == [".json", ".lock", ".pth"]


def test_a_server_that_cannot_resume_sends_all_and_the_file_is_still_right(a_hub: HubServer, tmp_path: Path) -> None:
    a_hub.drops = [120_000]
    a_hub.ignores_ranges = True
    installed = download_model(NAME, consent=True, folder=tmp_path, endpoint=a_hub.endpoint)
    assert installed.path.read_bytes() == CONTENT


def test_an_unfinished_file_of_another_revision_is_not_continued(a_hub: HubServer, tmp_path: Path) -> None:
    folder = tmp_path / NAME
    folder.mkdir()
    (folder / f"{FILENAME}.aaaaaaaaaaaa.partial").write_bytes(b"of another revision")
    installed = download_model(NAME, consent=True, folder=tmp_path, endpoint=a_hub.endpoint)
    assert installed.path.read_bytes() == CONTENT
    assert a_hub.downloads()[0].byte_range is None
    assert list(folder.glob("*.partial")) == []


def test_contents_that_differ_from_the_stated_hash_are_deleted_and_refused(a_hub: HubServer, tmp_path: Path) -> None:
    a_hub.stated_sha256 = hashlib.sha256(b"something else").hexdigest()
    with pytest.raises(WeightsError, match="do not trust the source") as caught:
        download_model(NAME, consent=True, folder=tmp_path, endpoint=a_hub.endpoint)
    assert hashlib.sha256(CONTENT).hexdigest() in str(caught.value)
    assert [path.suffix for path in (tmp_path / NAME).iterdir()] == [".lock"]


def test_a_file_that_was_exchanged_since_it_was_registered_is_refused_before_it_is_downloaded(
    a_hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = replace(model_spec(NAME), sha256="ab" * 32)
    monkeypatch.setattr("SegAnyPETLib.model.store.model_spec", lambda _name: spec)
    with pytest.raises(WeightsError, match="exchanged there since it was registered"):
        download_model(NAME, consent=True, folder=tmp_path, endpoint=a_hub.endpoint)
    assert a_hub.downloads() == []


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (404, "EntryNotFound", "no such file"),
        (404, "RevisionNotFound", "no such file"),
        (401, "RepoNotFound", "no such file"),
        (403, "GatedRepo", "ask for a login"),
        (500, None, "Try again"),
    ],
)
def test_what_the_hub_refuses_is_said_with_the_way_to_do_without_it(
    status: int, code: str | None, expected: str, a_hub: HubServer, tmp_path: Path
) -> None:
    a_hub.hub_status, a_hub.error_code = status, code
    with pytest.raises(WeightsError, match=expected) as caught:
        download_model(NAME, consent=True, folder=tmp_path, endpoint=a_hub.endpoint)
    assert f"copy {FILENAME} to {tmp_path / NAME}" in str(caught.value)


def test_a_hub_that_is_not_there_is_an_error_and_not_a_wait(tmp_path: Path) -> None:
    with HubServer(REPOSITORY, FILENAME, CONTENT) as hub:
        gone = hub.endpoint
    with pytest.raises(WeightsError, match="Expected to download"):
        download_model(NAME, consent=True, folder=tmp_path, endpoint=gone)


def test_a_server_without_hashes_is_not_a_hub(a_hub: HubServer, tmp_path: Path) -> None:
    a_hub.stated_sha256 = "not-a-hash"
    with pytest.raises(WeightsError, match="does not speak the hub's API"):
        download_model(NAME, consent=True, folder=tmp_path, endpoint=a_hub.endpoint)


def test_too_little_space_is_said_before_anything_is_downloaded(
    a_hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: SimpleNamespace(free=1000))
    with pytest.raises(OutputError, match="SEGANYPET_HOME"):
        download_model(NAME, consent=True, folder=tmp_path, endpoint=a_hub.endpoint)
    assert a_hub.downloads() == []


def test_a_disk_that_fills_up_meanwhile_leaves_no_weights(
    a_hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_up(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download, "http_get", fill_up)
    with pytest.raises(OutputError, match="No space left"):
        download_model(NAME, consent=True, folder=tmp_path, endpoint=a_hub.endpoint)
    assert find_model(NAME, folder=tmp_path).origin == "absent"


def test_a_folder_that_cannot_be_made_is_an_output_error(a_hub: HubServer, tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("in the way")
    with pytest.raises(OutputError, match="Expected to write"):
        download_model(NAME, consent=True, folder=tmp_path / "a file", endpoint=a_hub.endpoint)


def test_weights_that_were_copied_by_hand_are_used_and_recorded_without_a_transfer(
    a_hub: HubServer, tmp_path: Path
) -> None:
    absent = find_model(NAME, folder=tmp_path)
    assert absent.origin == "absent"
    absent.path.parent.mkdir(parents=True)
    absent.path.write_bytes(CONTENT)
    assert find_model(NAME, folder=tmp_path).origin == "copied"
    assert verify_model(NAME, folder=tmp_path).expected_sha256 is None
    installed = download_model(NAME, consent=True, folder=tmp_path, endpoint=a_hub.endpoint)
    assert installed.origin == "downloaded"
    assert a_hub.downloads() == []


def test_verifying_finds_a_single_exchanged_byte(a_hub: HubServer, tmp_path: Path) -> None:
    installed = download_model(NAME, consent=True, folder=tmp_path, endpoint=a_hub.endpoint)
    damaged = bytearray(CONTENT)
    damaged[77] ^= 1
    installed.path.write_bytes(damaged)
    with pytest.raises(WeightsError, match="damaged or was exchanged"):
        verify_model(NAME, folder=tmp_path)


def test_verifying_absent_weights_tells_both_ways_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"models download seganypet.* or copy seganypet_v1.pth to "):
        verify_model(NAME, folder=tmp_path)


def test_removing_leaves_nothing_of_ours_and_touches_nothing_else(a_hub: HubServer, tmp_path: Path) -> None:
    installed = download_model(NAME, consent=True, folder=tmp_path, endpoint=a_hub.endpoint)
    note = installed.path.parent / "my note.txt"
    note.write_text("keep")
    assert remove_model(NAME, folder=tmp_path).origin == "downloaded"
    assert list(installed.path.parent.iterdir()) == [note]
    note.unlink()
    assert remove_model(NAME, folder=tmp_path).origin == "absent"
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_record_is_an_error_that_names_it(a_hub: HubServer, tmp_path: Path) -> None:
    installed = download_model(NAME, consent=True, folder=tmp_path, endpoint=a_hub.endpoint)
    record = installed.path.with_name(f"{FILENAME}.json")
    record.write_text("{")
    with pytest.raises(WeightsError, match=f"{FILENAME}.json"):
        find_model(NAME, folder=tmp_path)


@pytest.mark.parametrize("act", [download_model, remove_model])
def test_the_bundled_model_is_neither_downloaded_nor_removed(act: object, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="part of the installation"):
        act("lite", folder=tmp_path)


def test_every_registered_model_is_listed_with_where_it_is_or_would_be(tmp_path: Path) -> None:
    found = {installed.spec.name: installed for installed in list_models(folder=tmp_path)}
    assert list(found) == ["lite", "seganypet", "seganypet-v2", "seganypet-lesion", "sam-med3d-turbo"]
    assert found["sam-med3d-turbo"].path == tmp_path / "sam-med3d-turbo" / "sam_med3d_turbo.pth"


def test_the_folder_of_weights_can_be_moved_by_one_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEGANYPET_HOME", str(tmp_path / "elsewhere"))
    assert models_folder() == tmp_path / "elsewhere" / "models"
    monkeypatch.delenv("SEGANYPET_HOME")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert models_folder() == tmp_path / "seganypet" / "models"
    monkeypatch.setattr("sys.platform", "darwin")
    assert models_folder().parts[-4:] == ("Library", "Application Support", "seganypet", "models")
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "Local"))
    assert models_folder() == tmp_path / "Local" / "seganypet" / "models"

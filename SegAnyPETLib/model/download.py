"""Weights from the Hugging Face hub: only with the user's consent, resumed when cut off, verified, recorded.

The hub's own client asks for the file's facts and transfers it. Its `hf_hub_download` is not used: version 2.4.0
throws away an unfinished file when the call ends, so that a program stopped at 99 % has to begin again.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
from huggingface_hub import get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import HfFileMetadata, http_get
from huggingface_hub.utils import WeakFileLock, build_hf_headers  # type: ignore[attr-defined]  # public by its docs

from SegAnyPETLib.errors import ConsentError, ModelError, OutputError, WeightsError
from SegAnyPETLib.model.spec import HubFile, ModelSpec
from SegAnyPETLib.model.store import DownloadRecord, InstalledModel, find_model, hash_file, write_record
from SegAnyPETLib.version import __version__

HUB = "https://huggingface.co"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SPARE_BYTES = 100_000_000  # left free on the disk besides the weights

ReportBytes = Callable[[int, int | None], None]


def download_model(
    name: str,
    *,
    consent: bool = False,
    folder: Path | None = None,
    endpoint: str = HUB,
    token: str | bool = False,
    on_progress: ReportBytes | None = None,
) -> InstalledModel:
    """Download the weights of a registered model, once.

    A download that was cut off goes on where it stopped, in this call or a later one. Weights that are already there
    and are what the hub has are only recorded.

    Args:
        name: Registered name.
        consent: True when the user has read licence, size and source (`consent_text`) and agreed. Without it, nothing
            is sent to anyone.
        folder: Where downloaded weights are kept; `models_folder()` when not given.
        endpoint: Address of the hub or of a mirror that speaks its API.
        token: Access token for repositories that need one; True for the one stored by `hf auth login`. None is sent
            unless given.
        on_progress: Called with the bytes that are here and those that are expected (None when the hub does not say).

    Returns:
        The model with its file and the record of this download: revision, SHA-256, date, licence.

    Raises:
        ConsentError: `consent` was not given; the message is what the user must be shown.
        ModelError: No model has that name, or it is part of the installation.
        WeightsError: The hub cannot be reached, has no such file, wants a login, or sent something else than it
            announced. What has arrived so far is kept, unless it is wrong.
        OutputError: The file cannot be written: no permission, or no space.
    """
    installed = find_model(name, folder=folder)
    spec, source = installed.spec, installed.spec.hub_file
    if source is None:
        message = f"Expected a model that can be downloaded, found {name}, which is part of the installation."
        raise ModelError(message)
    if not consent:
        raise ConsentError(consent_text(spec, endpoint=endpoint))
    with _errors_in_words(source, installed, endpoint=endpoint):
        installed.path.parent.mkdir(parents=True, exist_ok=True)
        with WeakFileLock(installed.path.with_name(installed.path.name + ".lock")):
            metadata = _ask_hub(source, spec, endpoint=endpoint, token=token)
            _obtain(installed.path, source, metadata, endpoint=endpoint, token=token, on_progress=on_progress)
            write_record(_record(spec, source, metadata, installed.path, endpoint=endpoint), beside=installed.path)
    return find_model(name, folder=folder)


def consent_text(spec: ModelSpec, *, endpoint: str = HUB) -> str:
    """What a user must know before a download: licence, size, source, and what the other side learns.

    Raises:
        ModelError: The model cannot be downloaded.
    """
    if spec.hub_file is None:
        message = f"Expected a model that can be downloaded, found {spec.name}."
        raise ModelError(message)
    return (
        f"Consent is needed to download {spec.title}. "
        f"Source: {endpoint}/{spec.hub_file.repository}, file {spec.hub_file.filename}. Size: {spec.size_text}. "
        f"Licence: {spec.licence}. Training data: {spec.training_data}. {spec.notes} "
        f"The server learns your network address and the versions of Python, torch and this library; no image leaves "
        f"this machine. Agree with consent=True, or --yes on the command line."
    )


def _ask_hub(source: HubFile, spec: ModelSpec, *, endpoint: str, token: str | bool) -> HfFileMetadata:
    """The file's facts, with the hash that large files have as their tag."""
    metadata = get_hf_file_metadata(
        hf_hub_url(source.repository, source.filename, revision=source.revision, endpoint=endpoint),
        token=token,
        endpoint=endpoint,
        library_name="seganypet",
        library_version=__version__,
    )
    if metadata.commit_hash is None or not _SHA256.fullmatch(metadata.etag or ""):
        message = (
            f"Expected {endpoint} to state revision and SHA-256 of {source.filename}, found revision "
            f"{metadata.commit_hash} and tag {metadata.etag}. It does not speak the hub's API; nothing was downloaded."
        )
        raise WeightsError(message)
    if spec.sha256 is not None and metadata.etag != spec.sha256:
        message = (
            f"Expected {source.filename} with SHA-256 {spec.sha256}, found {metadata.etag} at {endpoint}. "
            "The file was exchanged there since it was registered; nothing was downloaded."
        )
        raise WeightsError(message)
    return metadata


def _obtain(
    path: Path,
    source: HubFile,
    metadata: HfFileMetadata,
    *,
    endpoint: str,
    token: str | bool,
    on_progress: ReportBytes | None,
) -> None:
    """Put the file at `path`, from what is already there if that is right, else from the hub."""
    expected = str(metadata.etag)
    if path.is_file() and hash_file(path) == expected:
        return
    partial = path.with_name(f"{path.name}.{expected[:12]}.partial")
    for other in path.parent.glob(f"{path.name}.*.partial"):
        if other != partial or (metadata.size is not None and other.stat().st_size > metadata.size):
            other.unlink()  # of another revision, or longer than the file can be
    here = partial.stat().st_size if partial.is_file() else 0
    _require_space(path.parent, None if metadata.size is None else metadata.size - here)
    url = hf_hub_url(source.repository, source.filename, revision=metadata.commit_hash, endpoint=endpoint)
    with partial.open("ab") as file:
        http_get(
            url,
            file,
            resume_size=here,
            headers=build_hf_headers(token=token, library_name="seganypet", library_version=__version__),
            expected_size=metadata.size,
            displayed_filename=source.filename,
            tqdm_class=_progress_class(on_progress),
        )
    found = hash_file(partial)
    if found != expected:
        partial.unlink()
        message = (
            f"Expected SHA-256 {expected} of {source.filename}, as {endpoint} states it; received {found}. "
            "What was received is deleted. Try again; if it happens twice, do not trust the source."
        )
        raise WeightsError(message)
    partial.replace(path)


def _record(spec: ModelSpec, source: HubFile, metadata: HfFileMetadata, path: Path, *, endpoint: str) -> DownloadRecord:
    return DownloadRecord(
        name=spec.name,
        repository=source.repository,
        filename=source.filename,
        revision=str(metadata.commit_hash),
        endpoint=endpoint,
        sha256=str(metadata.etag),
        size_bytes=path.stat().st_size,
        downloaded_at=datetime.now(UTC).isoformat(timespec="seconds"),
        licence=spec.licence,
    )


def _require_space(folder: Path, needed: int | None) -> None:
    free = shutil.disk_usage(folder).free
    if needed is not None and free < needed + _SPARE_BYTES:
        message = (
            f"Expected {(needed + _SPARE_BYTES) / 1e6:.0f} MB of free space in {folder}, found {free / 1e6:.0f} MB. "
            "Make room, or set SEGANYPET_HOME to a folder on another disk."
        )
        raise OutputError(message)


@contextmanager
def _errors_in_words(source: HubFile, installed: InstalledModel, *, endpoint: str) -> Iterator[None]:
    """Turn what the hub's client and the disk raise into this library's errors."""
    where = f"{source.repository} at {endpoint}"
    by_hand = f"Or copy {source.filename} to {installed.path.parent}."
    try:
        yield
    except GatedRepoError as error:
        message = f"Expected access to {where}, found that its authors ask for a login. Pass a token. {by_hand}"
        raise WeightsError(message) from error
    except (RepositoryNotFoundError, RevisionNotFoundError, RemoteEntryNotFoundError) as error:
        message = (
            f"Expected {source.filename} (revision {source.revision}) in {where}, found no such file. Its authors may "
            f"have moved it, or it needs a token. {by_hand}"
        )
        raise WeightsError(message) from error
    except OfflineModeIsEnabled as error:
        message = f"Expected to reach {where}, found the offline mode of the hub's client (HF_HUB_OFFLINE). {by_hand}"
        raise WeightsError(message) from error
    except (HfHubHTTPError, httpx2.HTTPError) as error:
        message = (
            f"Expected to download from {where}, found: {error}. Try again: it goes on where it stopped. {by_hand}"
        )
        raise WeightsError(message) from error
    except OSError as error:
        if error.errno is None:  # the client's own check of the size has no number of the operating system
            message = f"Expected all of {source.filename} from {where}, found: {error}. Try again. {by_hand}"
            raise WeightsError(message) from error
        message = f"Expected to write {installed.path}, found: {error}. Make room or change the folder's permissions."
        raise OutputError(message) from error


def _progress_class(report: ReportBytes | None) -> Any:  # the client wants a class with a part of tqdm's interface
    class Progress:
        def __init__(self, *, total: int | None = None, initial: int = 0, **_bar: object) -> None:
            self.total, self.count = total, initial

        def __enter__(self) -> Progress:
            return self

        def __exit__(self, *_error: object) -> None:
            """Nothing to close."""

        def update(self, count: int) -> None:
            self.count += count
            if report is not None:
                report(self.count, self.total)

    return Progress

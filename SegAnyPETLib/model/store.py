"""The folder of downloaded weights: where it is, what is in it, whether it is intact. It never opens the network."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from SegAnyPETLib.errors import ModelError, OutputError, WeightsError
from SegAnyPETLib.model.resources import resources_folder
from SegAnyPETLib.model.spec import ModelSpec, model_spec, registered_models

Origin = Literal["bundled", "downloaded", "copied", "site", "absent"]


@dataclass(frozen=True, slots=True)
class DownloadRecord:
    """What is kept beside downloaded weights.

    Attributes:
        name: Registered name of the model.
        repository: Repository on the hub.
        filename: File in it.
        revision: Commit the file was taken from.
        endpoint: Address of the hub.
        sha256: Hash of the file, as the hub stated it and as it was found.
        size_bytes: Size of the file.
        downloaded_at: Time in UTC, ISO 8601.
        licence: Licence the user agreed to, as it was shown.
    """

    name: str
    repository: str
    filename: str
    revision: str
    endpoint: str
    sha256: str
    size_bytes: int
    downloaded_at: str
    licence: str


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A registered model, or one that was fine-tuned here, and where its weights are.

    Attributes:
        spec: The registry's entry, or what the site model's file says.
        origin: `bundled` with the library, `downloaded` through the hub, `copied` there by hand, `site` for a
            fine-tuned one, or `absent`.
        path: The weights file, also where it would have to be if it is absent.
        record: What was recorded at the download.
    """

    spec: ModelSpec
    origin: Origin
    path: Path
    record: DownloadRecord | None = None

    @property
    def expected_sha256(self) -> str | None:
        """The hash the file must have, from the registry or the download; None where nobody stated one."""
        return self.spec.sha256 or (self.record.sha256 if self.record else None)


def models_folder() -> Path:
    """Folder for downloaded weights: `models` in SEGANYPET_HOME, else in the user's data folder of this platform."""
    home = os.environ.get("SEGANYPET_HOME")
    if home:
        return Path(home).expanduser() / "models"
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "seganypet" / "models"


def find_model(name: str, *, folder: Path | None = None) -> InstalledModel:
    """Where the weights of a registered model or of a site model are.

    Args:
        name: Registered name, or that of a site model.
        folder: Folder of downloaded weights; `models_folder()` when not given.

    Raises:
        ModelError: No model has that name.
        WeightsError: The record of a site model is damaged.
    """
    from SegAnyPETLib.model.site_models import find_site_model, is_site_model

    if is_site_model(name, folder=folder):
        return find_site_model(name, folder=folder)
    return _locate(model_spec(name), folder or models_folder())


def list_models(*, folder: Path | None = None) -> tuple[InstalledModel, ...]:
    """Every registered model, here or not, and the site models that are here."""
    from SegAnyPETLib.model.site_models import list_site_models

    registered = tuple(_locate(spec, folder or models_folder()) for spec in registered_models())
    return registered + list_site_models(folder=folder)


def verify_model(name: str, *, folder: Path | None = None) -> InstalledModel:
    """Compare the weights' SHA-256 with the registry's or the one recorded at the download.

    A file that was copied by hand and that the registry knows no hash of has nothing to be compared with; look at
    `expected_sha256` of the result.

    Raises:
        ModelError: No model has that name.
        WeightsError: The weights are absent, or differ.
    """
    installed = find_model(name, folder=folder)
    if installed.origin == "absent":
        message = f"Expected the weights of {name} at {installed.path}, found nothing. {how_to_get(installed)}"
        raise WeightsError(message)
    check_hash(installed)
    return installed


def check_hash(installed: InstalledModel) -> None:
    """Raise WeightsError when the file differs from the hash that is known for it, if one is."""
    expected = installed.expected_sha256
    if expected is None:
        return
    found = hash_file(installed.path)
    if found != expected:
        message = (
            f"Expected SHA-256 {expected} of {installed.path}, found {found}. The file is damaged or was exchanged: "
            f"remove it and get it again."
        )
        raise WeightsError(message)


def remove_model(name: str, *, folder: Path | None = None) -> InstalledModel:
    """Delete downloaded or copied weights with their record and any unfinished download, or a site model.

    Returns:
        What was there before; `origin` is `absent` when there was nothing.

    Raises:
        ModelError: No model has that name, or it is bundled with the library.
        OutputError: The files cannot be deleted.
    """
    from SegAnyPETLib.model.site_models import remove_site_model

    installed = find_model(name, folder=folder)
    if installed.origin == "site":
        return remove_site_model(name, folder=folder)
    if installed.spec.bundled_file is not None:
        message = f"Expected a downloaded model, found {name}, which is part of the installation. Keep it."
        raise ModelError(message)
    folder_of_model = installed.path.parent
    try:
        for path in folder_of_model.glob(f"{installed.path.name}*"):  # the weights, their record, what is unfinished
            path.unlink()
        if folder_of_model.is_dir() and not any(folder_of_model.iterdir()):
            folder_of_model.rmdir()
    except OSError as error:
        message = f"Expected to delete the weights in {folder_of_model}, found: {error}. Delete the folder yourself."
        raise OutputError(message) from error
    return installed


def how_to_get(installed: InstalledModel) -> str:
    """What a person can do to have these weights, with and without a network."""
    spec = installed.spec
    if spec.hub_file is None:
        return "The installation is incomplete: install seganypet again."
    return (
        f"Either download them (seganypet models download {spec.name}; from {spec.hub_file.repository} on the Hugging "
        f"Face hub; licence: {spec.licence}), or copy {spec.hub_file.filename} to {installed.path.parent}."
    )


def hash_file(path: Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_record(record: DownloadRecord, *, beside: Path) -> None:
    """Write the record of a download, whole or not at all."""
    path = _record_path(beside)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)


def _record_path(weights: Path) -> Path:
    return weights.with_name(weights.name + ".json")


def _locate(spec: ModelSpec, folder: Path) -> InstalledModel:
    if spec.bundled_file is not None:
        path = resources_folder() / spec.bundled_file
        return InstalledModel(spec, "bundled" if path.is_file() else "absent", path)
    if spec.hub_file is None:
        message = f"Expected {spec.name} to be bundled or on the hub; the registry names neither. Install again."
        raise ModelError(message)
    path = folder / spec.name / Path(spec.hub_file.filename).name
    if not path.is_file():
        return InstalledModel(spec, "absent", path)
    record = _read_record(path)
    return InstalledModel(spec, "downloaded" if record else "copied", path, record)


def _read_record(weights: Path) -> DownloadRecord | None:
    path = _record_path(weights)
    if not path.is_file():
        return None
    try:
        return DownloadRecord(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        message = f"Expected the record of a download in {path}, found: {error}. Remove the model and get it again."
        raise WeightsError(message) from error

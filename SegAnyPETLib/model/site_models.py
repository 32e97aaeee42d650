"""Models that were fine-tuned on a site's own cases: where they are kept, and which model is the default.

Each has a folder `site/NAME` among the downloaded weights, with `model.safetensors` (see `site_file`), `card.json` and
`site.json`, which is what a list needs. This file loads no torch.
"""

from __future__ import annotations

import json
import re
import shutil
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from SegAnyPETLib.errors import ModelError, OutputError, WeightsError
from SegAnyPETLib.model.spec import ModelSpec, PreprocessingSpec, registered_models
from SegAnyPETLib.model.store import InstalledModel, hash_file, models_folder

Holds = Literal["changed", "all"]
SITE_FOLDER = "site"
WEIGHTS_NAME = "model.safetensors"
CARD_NAME = "card.json"
RECORD_NAME = "site.json"
DEFAULT_NAME = "default.json"  # beside the models: the choice of this user
FIRST_DEFAULT = "lite"
DEFAULT_WORD = "default"  # the name that stands for the chosen model
LONGEST_JSON = 4 << 20
LONGEST_TEXT = 4096
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)  # names of devices on Windows


@dataclass(frozen=True, slots=True)
class SiteAbout:
    """What a site model's file says of itself.

    Attributes:
        title: One line for people.
        architecture: The name `build_network` takes.
        preprocessing: As `PreprocessingSpec.from_json` takes it.
        base: The registered model whose weights it changes; empty where the file holds all weights.
        base_sha256: Of that model's weights file.
        holds: `changed`: only the weights that differ from the base; `all`.
        made_from: Name of the model the training began with.
        made_from_sha256: Of that model's weights file.
        licence: Of the weights it was made from.
        training_data: What the weights have seen.
        made_at: UTC, ISO 8601.
        content_sha256: Over all tensors and the card, so that damage shows on another machine too.
    """

    title: str
    architecture: str
    preprocessing: Mapping[str, Any]  # JSON
    base: str
    base_sha256: str
    holds: Holds
    made_from: str
    made_from_sha256: str
    licence: str
    training_data: str
    made_at: str
    content_sha256: str = ""

    @classmethod
    def from_json(cls, text: str, *, found_in: Path) -> SiteAbout:
        """Read what a file says.

        Raises:
            WeightsError: A field is missing, unknown, too long or of another kind.
        """
        try:
            about = cls(**json.loads(text))
        except (TypeError, ValueError, RecursionError) as error:
            message = f"Expected {found_in} to describe a site model, found: {error}. Export it again."
            raise WeightsError(message) from error
        texts = [getattr(about, field.name) for field in fields(cls) if field.name != "preprocessing"]
        are_texts = all(isinstance(value, str) and len(value) <= LONGEST_TEXT for value in texts)
        if not are_texts or not isinstance(about.preprocessing, dict) or about.holds not in get_args(Holds):
            message = f"Expected {found_in} to describe a site model, found other values. Export it again."
            raise WeightsError(message)
        if (about.holds == "changed") != bool(about.base):
            message = f"Expected {found_in} to name the model whose weights it changes, found {about.base!r}."
            raise WeightsError(message)
        return about


def check_site_name(name: str) -> str:
    """A name that a site model may have: a folder's name on every system, and no registered model's.

    Raises:
        ModelError: It is not.
    """
    if not _NAME.fullmatch(name) or _RESERVED.fullmatch(name):
        message = (
            f"Expected a name of up to 64 letters, digits, dots, dashes and underscores, found {name[:80]!r}. Choose "
            "another, for example lite-2026-05."
        )
        raise ModelError(message)
    if name.lower() in {DEFAULT_WORD, *(spec.name for spec in registered_models())}:
        message = f"Expected a name of its own for a site model, found {name!r}, which is taken. Choose another."
        raise ModelError(message)
    return name


def site_folder(name: str, *, folder: Path | None = None) -> Path:
    """Where a site model of that name is or would be.

    Raises:
        ModelError: No site model can have that name.
    """
    return (folder or models_folder()) / SITE_FOLDER / check_site_name(name)


def is_site_model(name: str, *, folder: Path | None = None) -> bool:
    """True where a site model of that name is here."""
    try:
        return (site_folder(name, folder=folder) / RECORD_NAME).is_file()
    except (ModelError, OSError):
        return False


def find_site_model(name: str, *, folder: Path | None = None) -> InstalledModel:
    """A site model and where its weights are.

    Raises:
        ModelError: There is none of that name.
        WeightsError: Its record is damaged.
    """
    place = site_folder(name, folder=folder)
    record = _read_json(place / RECORD_NAME)
    try:
        about = SiteAbout.from_json(json.dumps(record["about"]), found_in=place / RECORD_NAME)
        spec = site_spec(about, name=name, sha256=str(record["sha256"]), size_bytes=int(record["size_bytes"]))
    except (KeyError, TypeError, ValueError) as error:
        message = f"Expected the record of a site model in {place}, found: {error}. Remove the model, import it again."
        raise WeightsError(message) from error
    return InstalledModel(spec, "site", place / WEIGHTS_NAME)


def list_site_models(*, folder: Path | None = None) -> tuple[InstalledModel, ...]:
    """All site models that are here, by name; folders whose record cannot be read are left out."""
    found = []
    for record in sorted(((folder or models_folder()) / SITE_FOLDER).glob(f"*/{RECORD_NAME}")):
        with suppress(ModelError):  # one damaged record must not hide the others; `find_site_model` says what it is
            found.append(find_site_model(record.parent.name, folder=folder))
    return tuple(found)


def read_card(name: str, *, folder: Path | None = None) -> dict[str, Any]:
    """The training card of a site model, as JSON.

    Raises:
        ModelError: There is no such model, or its card cannot be read.
    """
    return _read_json(find_site_model(name, folder=folder).path.with_name(CARD_NAME))


def remove_site_model(name: str, *, folder: Path | None = None) -> InstalledModel:
    """Delete a site model; where it was the default, the bundled model is the default again.

    Raises:
        ModelError: There is no such model.
        OutputError: Its folder cannot be deleted.
    """
    installed = find_site_model(name, folder=folder)
    try:
        if _chosen(folder) == name:
            _setting(folder).unlink()
        (installed.path.parent / RECORD_NAME).unlink()  # first: without it there is no model
        shutil.rmtree(installed.path.parent)
    except OSError as error:
        message = f"Expected to delete {installed.path.parent}, found: {error}. Delete the folder yourself."
        raise OutputError(message) from error
    return installed


def default_model(*, folder: Path | None = None) -> str:
    """Name of the model that is used where none is named: `lite`, until another is chosen.

    Raises:
        ModelError: The chosen one is not here any more, or the choice cannot be read.
    """
    chosen = _chosen(folder)
    is_known = any(spec.name == chosen for spec in registered_models()) or is_site_model(chosen, folder=folder)
    if not is_known:
        message = (
            f"Expected the chosen default model {chosen!r}, found none of that name. Run: seganypet models use lite"
        )
        raise ModelError(message)
    return chosen


def set_default_model(name: str, *, folder: Path | None = None) -> str:
    """Choose the model that is used where none is named; returns the one before.

    Raises:
        ModelError: There is no model of that name, or its weights are absent.
        OutputError: The choice cannot be written.
    """
    from SegAnyPETLib.model.store import find_model, how_to_get

    installed = find_model(name, folder=folder)
    if installed.origin == "absent":
        message = f"Expected the weights of {name} at {installed.path}, found nothing. {how_to_get(installed)}"
        raise WeightsError(message)
    with suppress(ModelError):
        before = _chosen(folder)
    path = _setting(folder)
    temporary = path.with_name(f".{uuid.uuid4().hex[:12]}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps({"schema": "seganypet-default/1", "model": name}) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        message = f"Expected to write {path}, found: {error}. Change its permissions."
        raise OutputError(message) from error
    return before


def place_site_model(
    weights: Path, about: SiteAbout, card: Mapping[str, Any], *, name: str, folder: Path | None = None
) -> InstalledModel:
    """Copy a file that was checked into the store, whole or not at all.

    Raises:
        ModelError: The name is no name, or there is a model of that name.
        OutputError: The store cannot be written.
    """
    place = site_folder(name, folder=folder)
    if place.exists():
        message = f"Expected a new name, found a site model {name} already. Choose another name, or remove that one."
        raise ModelError(message)
    temporary = place.with_name(f".{uuid.uuid4().hex[:12]}")
    try:
        temporary.mkdir(parents=True)
        copied = Path(shutil.copyfile(weights, temporary / WEIGHTS_NAME))
        record = {"about": asdict(about), "sha256": hash_file(copied), "size_bytes": copied.stat().st_size}
        for file, document in ((CARD_NAME, card), (RECORD_NAME, record)):
            text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
            (temporary / file).write_text(text, encoding="utf-8")
        temporary.rename(place)
    except OSError as error:
        message = f"Expected to write {place}, found: {error}. Nothing was kept; free space or change permissions."
        raise OutputError(message) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return find_site_model(name, folder=folder)


def site_spec(about: SiteAbout, *, name: str, sha256: str | None = None, size_bytes: int | None = None) -> ModelSpec:
    """The registry's kind of entry for a site model; it has no calibration, which holds for other weights only.

    Raises:
        ModelError: The preprocessing is none.
    """
    made = f"Made from {about.made_from} at {about.made_at}." if about.made_from else ""
    return ModelSpec(
        name=name,
        title=about.title,
        architecture=about.architecture,
        preprocessing=PreprocessingSpec.from_json(about.preprocessing),
        licence=about.licence,
        training_data=about.training_data,
        sha256=sha256,
        size_bytes=size_bytes,
        notes=f"Research only. {made} Its confidence is not calibrated.",
    )


def _setting(folder: Path | None) -> Path:
    return (folder or models_folder()) / DEFAULT_NAME


def _chosen(folder: Path | None) -> str:
    path = _setting(folder)
    if not path.is_file():
        return FIRST_DEFAULT
    chosen = _read_json(path).get("model")
    if not isinstance(chosen, str):
        message = f"Expected the name of a model in {path}, found {chosen!r}. Run: seganypet models use lite"
        raise ModelError(message)
    return chosen


def _read_json(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            raw = stream.read(LONGEST_JSON + 1)
        document = json.loads(raw) if len(raw) <= LONGEST_JSON else None
    except (OSError, ValueError, RecursionError) as error:
        message = f"Expected a JSON object in {path}, found: {error}. Remove the model and import it again."
        raise WeightsError(message) from error
    if not isinstance(document, dict):
        message = f"Expected a JSON object of at most {LONGEST_JSON >> 20} MB in {path}. Remove it and import it again."
        raise WeightsError(message)
    return document

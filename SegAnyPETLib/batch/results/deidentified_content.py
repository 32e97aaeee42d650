"""What a de-identified run may write about a study, and the secret its new identifiers are made with."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from SegAnyPETLib.batch.identifiers import without_identifiers
from SegAnyPETLib.batch.study import KEY_LENGTH
from SegAnyPETLib.errors import OutputError

if TYPE_CHECKING:
    from SegAnyPETLib.batch.lesion import Fact
    from SegAnyPETLib.batch.results.study_content import ContentLesion, StudyContent
    from SegAnyPETLib.batch.settings import BatchSettings
    from SegAnyPETLib.batch.study import FoundStudy

SECRET_NAME = ".deidentification-secret"
SECRET_BYTES = 32
GIVEN_PROMPTS = "given prompts"  # the name of a prompt file may be that of a patient


def run_secret(folder: Path) -> bytes:
    """The secret of all studies in a folder, made by the first one that asks, readable by its owner only.

    With it, and with the original data, new identifiers can be traced back: it does not belong to what is given away.

    Raises:
        OutputError: It cannot be made or read.
    """
    path = folder / SECRET_NAME
    temporary = path.with_name(f"{SECRET_NAME}-{secrets.token_hex(6)}")
    try:
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            temporary.touch(mode=0o600, exist_ok=False)
            temporary.write_bytes(secrets.token_bytes(SECRET_BYTES))
            with suppress(FileExistsError):  # another worker was first; a link is whole or not there
                path.hardlink_to(temporary)
        return path.read_bytes()
    except OSError as error:
        msg = (
            f"Cannot keep the secret of a de-identified run: {error.strerror or type(error).__name__}. Choose a folder "
            "on a disk you may write to."
        )
        raise OutputError(msg) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def deidentified_content(
    content: StudyContent, study: FoundStudy, settings: BatchSettings, *, salt: bytes
) -> StudyContent:
    """The same study without dates, UIDs, names of lesions, files and places; patient and lesions get new identifiers.

    Numbers of the rule stay, and so does the study's key, which is a hash already.

    Args:
        content: As it was made.
        study: As it was found: what is known to identify the patient.
        settings: Of the run.
        salt: Secret of the run.
    """

    def cleaned(text: str) -> str:
        return without_identifiers(text, study, settings.prompts or "")

    def facts(given: Mapping[str, Fact]) -> dict[str, Fact]:
        return {name: cleaned(value) if isinstance(value, str) else value for name, value in given.items()}

    def lesion(one: ContentLesion) -> ContentLesion:
        return replace(
            one,
            label=f"Lesion {one.number}",
            origin=cleaned(one.origin) if settings.prompts is None else GIVEN_PROMPTS,
            physiology=None if one.physiology is None else cleaned(one.physiology),
            facts=facts(one.facts),
            tracking_uid=f"2.25.{int(_digest(salt, one.tracking_uid)[:32], 16)}",
            notices=tuple(map(cleaned, one.notices)),
        )

    return replace(
        content,
        patient_key=_digest(salt, content.patient_key)[:KEY_LENGTH],
        study_instance_uid=None,
        series_instance_uid=None,
        study_date=None,
        choice="",
        rule=cleaned(content.rule),
        facts=facts(content.facts),
        notes=tuple(map(cleaned, content.notes)),
        not_found={f"Request {n}": cleaned(why) for n, why in enumerate(content.not_found.values(), start=1)},
        lesions=tuple(map(lesion, content.lesions)),
    )


def _digest(salt: bytes, text: str) -> str:
    return hmac.new(salt, text.encode(), "sha256").hexdigest()

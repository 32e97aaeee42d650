"""Bring the PET and CT series of a peer's studies into the workspace, each series whole or not at all."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from SegAnyPETLib.batch.finding.gathering import USED_MODALITIES, Gathering
from SegAnyPETLib.batch.study import hashed
from SegAnyPETLib.data.atomic import write_folder_atomically
from SegAnyPETLib.errors import InputError, OutputError

MAX_STUDIES = 100_000  # of one query; what is more is a query without a key
MAX_INSTANCES = 100_000  # of one series
_UID = re.compile(r"[0-9.]{1,64}")


class FetchError(Exception):
    """A series could not be brought here; the message is one for people and names nobody."""


@dataclass(frozen=True)
class RemoteSeries:
    """One series of a peer.

    Attributes:
        study_instance_uid: Study Instance UID (0020,000D).
        series_instance_uid: Series Instance UID (0020,000E).
        modality: Modality (0008,0060).
        instances: How many images the peer says it has; None where it does not.
    """

    study_instance_uid: str
    series_instance_uid: str
    modality: str
    instances: int | None


class Peer(Protocol):
    """An archive that can be asked for studies."""

    name: str

    def studies(self) -> Iterable[str]:
        """Study Instance UIDs that match the query and may hold a PET."""

    def series_of(self, study_instance_uid: str) -> Sequence[RemoteSeries]:
        """All series of one study."""

    def fetch(self, series: RemoteSeries, folder: Path) -> int:
        """Write every image of a series into the folder, as files of any name; their number."""


def checked_uid(word: str) -> str:
    """A UID of a peer, which becomes part of requests.

    Raises:
        ValueError: It has other signs than digits and periods, or more than 64 (DICOM PS3.5 section 9).
    """
    if not _UID.fullmatch(word):
        msg = "a UID that is none"
        raise ValueError(msg)
    return word


def gather_from_peer(peer: Peer, gathering: Gathering, *, workspace: Path) -> None:
    """Fetch and gather every study of a peer that holds a PET series.

    A series that cannot be fetched is a problem of its study; the others go on. What is in the workspace already, and
    as many images as the peer has, is not fetched again.

    Raises:
        InputError: The peer cannot be reached or refuses the query.
        OutputError: The workspace cannot be written.
    """
    for number, study in enumerate(peer.studies(), start=1):
        if number > MAX_STUDIES:
            msg = f"{peer.name} has more than {MAX_STUDIES} matching studies. Narrow the query, for example by date."
            raise InputError(msg)
        try:
            series = peer.series_of(study)
        except FetchError as error:
            gathering.fail(study, str(error), place=peer.name)
            continue
        if any(one.modality == "PT" for one in series):
            for one in series:
                if one.modality in USED_MODALITIES:
                    _gather_series(peer, one, gathering, workspace / f"peer-{hashed(peer.name)}")


def _gather_series(peer: Peer, series: RemoteSeries, gathering: Gathering, root: Path) -> None:
    folder = root / hashed(series.study_instance_uid) / hashed(series.series_instance_uid)
    try:
        if not _is_here(series, folder):
            _fetch_whole(peer, series, folder)
    except FetchError as error:
        if series.modality == "PT":
            gathering.fail(series.study_instance_uid, str(error), place=peer.name)
        else:
            gathering.aside[f"{series.modality} series that cannot be fetched"] += 1
        return
    for file in sorted(folder.iterdir()):
        gathering.add(file, place=peer.name)


def _is_here(series: RemoteSeries, folder: Path) -> bool:
    return folder.is_dir() and series.instances in (None, sum(1 for _ in folder.iterdir()))


def _fetch_whole(peer: Peer, series: RemoteSeries, folder: Path) -> None:
    try:
        shutil.rmtree(folder, ignore_errors=True)  # fetched before the peer had all of it
        for stale in folder.parent.glob(f".*-{folder.name}"):
            shutil.rmtree(stale, ignore_errors=True)  # of a run that was killed while it fetched
        with write_folder_atomically(folder) as temporary:
            count = peer.fetch(series, temporary)
            if not count or (series.instances is not None and count < series.instances):
                msg = (
                    f"{peer.name} sent {count} of {series.instances or 'some'} images of a {series.modality} series. "
                    "Try again, or ask its owner."
                )
                raise FetchError(msg)
    except OSError as error:
        msg = f"Cannot write into the workspace: {error.strerror}. Free space or give another."
        raise OutputError(msg) from error

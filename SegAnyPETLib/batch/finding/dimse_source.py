"""A DICOM archive over DIMSE: C-FIND finds the studies, C-GET brings their series (DICOM PS3.4 annex C)."""

from __future__ import annotations

import logging
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset

from SegAnyPETLib.batch.finding.remote_address import DIMSEAddress
from SegAnyPETLib.batch.finding.remote_fetch import (
    MAX_INSTANCES,
    MAX_STUDIES,
    FetchError,
    RemoteSeries,
    checked_uid,
)
from SegAnyPETLib.data.ct_series import CT_IMAGE
from SegAnyPETLib.data.dicom_values import number, text
from SegAnyPETLib.data.series_choice import MULTIFRAME_CLASSES, PET_IMAGE
from SegAnyPETLib.errors import DICOMError, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

FIND = "1.2.840.10008.5.1.4.1.2.2.1"  # Study Root Query/Retrieve, FIND
GET = "1.2.840.10008.5.1.4.1.2.2.3"  # the same, GET
STORED_CLASSES = (PET_IMAGE, *MULTIFRAME_CLASSES, CT_IMAGE)
TIMEOUT_S = 120.0  # between two messages: archives on tape take their time
CONNECT_TIMEOUT_S = 10.0
MAX_INSTANCE_BYTES = 2 * 1024**3
_PENDING = (0xFF00, 0xFF01)
_SUCCESS, _OUT_OF_RESOURCES, _CANNOT_UNDERSTAND = 0x0000, 0xA700, 0xC000


class DIMSEPeer:
    """A DICOM archive that is asked for studies; see `Peer`."""

    def __init__(self, address: DIMSEAddress) -> None:
        logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)  # notes identifiers at lower levels
        self.name = f"dimse://{address.called_aet}@{address.host}:{address.port}"
        self._address = address

    def studies(self) -> Iterator[str]:
        """Study Instance UIDs of the matching studies that may hold a PET.

        Raises:
            InputError: The archive cannot be reached, or refuses.
        """
        self._check_reachable()
        wanted = _identifier("STUDY", ModalitiesInStudy="PT", StudyInstanceUID="")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom takes a range or a wildcard for a malformed value
            for keyword, value in self._address.query.items():
                setattr(wanted, keyword, value)
        try:
            found = self._find(wanted)
            uids = dict.fromkeys(checked_uid(uid) for one in found if (uid := text(one, "StudyInstanceUID")))
        except (FetchError, ValueError) as error:
            raise InputError(str(error)) from error
        yield from uids

    def series_of(self, study_instance_uid: str) -> list[RemoteSeries]:
        """All series of one study.

        Raises:
            FetchError: The archive refuses.
        """
        wanted = _identifier(
            "SERIES",
            StudyInstanceUID=study_instance_uid,
            SeriesInstanceUID="",
            Modality="",
            NumberOfSeriesRelatedInstances=None,
        )
        try:
            return [
                RemoteSeries(study_instance_uid, checked_uid(uid), text(one, "Modality") or "", _count(one))
                for one in self._find(wanted)
                if (uid := text(one, "SeriesInstanceUID"))
            ]
        except (ValueError, DICOMError) as error:
            raise FetchError(str(error)) from error

    def fetch(self, series: RemoteSeries, folder: Path) -> int:
        """Write every image of a series as the archive sends it.

        Raises:
            FetchError: The archive refuses, or breaks off.
        """
        from pynetdicom import build_role, evt

        written: list[Path] = []
        faults: list[str] = []

        def store(event: Any) -> int:  # pynetdicom has no types
            return _stored(event, folder, written, faults)

        wanted = _identifier(
            "SERIES",
            StudyInstanceUID=series.study_instance_uid,
            SeriesInstanceUID=series.series_instance_uid,
        )
        roles = [build_role(sop_class, scp_role=True) for sop_class in STORED_CLASSES]
        handlers = [(evt.EVT_C_STORE, store)]
        with self._association(GET, stored=STORED_CLASSES, roles=roles, handlers=handlers) as association:
            for status, _ in association.send_c_get(wanted, GET):
                self._check_status(status, "C-GET")
        if faults:
            raise FetchError(faults[0])
        return len(written)

    def _find(self, wanted: Dataset) -> list[Dataset]:
        found: list[Dataset] = []
        with self._association(FIND) as association:
            for status, one in association.send_c_find(wanted, FIND):
                self._check_status(status, "C-FIND")
                if one is not None:
                    found.append(one)
                if len(found) > MAX_STUDIES:
                    msg = f"{self.name} has more than {MAX_STUDIES} matches. Narrow the query, for example by date."
                    raise FetchError(msg)
        return found

    def _check_reachable(self) -> None:
        try:
            socket.create_connection((self._address.host, self._address.port), CONNECT_TIMEOUT_S).close()
        except OSError as error:
            msg = f"{self.name} cannot be reached ({error}). Check host and port, and that the archive runs."
            raise InputError(msg) from error

    @contextmanager
    def _association(
        self,
        service: str,
        *,
        stored: Sequence[str] = (),
        roles: Sequence[Any] = (),  # pynetdicom has no types
        handlers: Sequence[Any] = (),  # as above
    ) -> Iterator[Any]:  # as above
        from pynetdicom import AE, DEFAULT_TRANSFER_SYNTAXES

        entity = AE(ae_title=self._address.calling_aet)
        entity.connection_timeout = entity.acse_timeout = CONNECT_TIMEOUT_S
        entity.dimse_timeout = entity.network_timeout = TIMEOUT_S
        entity.add_requested_context(service)
        for sop_class in stored:
            # Only what every archive can send; it decompresses what it has stored otherwise.
            entity.add_requested_context(sop_class, DEFAULT_TRANSFER_SYNTAXES)
        association = entity.associate(
            self._address.host,
            self._address.port,
            ae_title=self._address.called_aet,
            ext_neg=list(roles),
            evt_handlers=list(handlers),
        )
        try:
            if service in {context.abstract_syntax for context in association.rejected_contexts}:
                name = "C-FIND" if service == FIND else "C-GET"
                msg = f"{self.name} does not offer {name} to {self._address.calling_aet}. Ask its owner to allow it."
                raise FetchError(msg)
            if not association.is_established:
                raise FetchError(self._why_not(association))
            yield association
        finally:
            if association.is_established:
                association.release()

    def _why_not(self, association: Any) -> str:  # pynetdicom has no types
        # Some archives close the connection so soon after their refusal that it is not seen any more.
        happened = "refused" if association.is_rejected else "broke off"
        return (
            f"{self.name} {happened} the association. Check its title, and that it knows {self._address.calling_aet} "
            "(or give another name with ?calling=)."
        )

    def _check_status(self, status: Dataset, service: str) -> None:
        code = getattr(status, "Status", None)
        if code is None:
            msg = f"{self.name} broke off during {service}. Try again, or ask its owner."
            raise FetchError(msg)
        if code != _SUCCESS and code not in _PENDING:
            msg = f"{self.name} refused {service} (status {code:04X}). Ask its owner to allow it."
            raise FetchError(msg)


def _stored(event: Any, folder: Path, written: list[Path], faults: list[str]) -> int:  # pynetdicom has no types
    """Write one image that was sent, its bytes as they came, under a number."""
    if len(written) >= MAX_INSTANCES:
        faults.append(f"The archive sent more than {MAX_INSTANCES} images of one series.")
        return _CANNOT_UNDERSTAND
    path = folder / f"{len(written) + 1:06d}.dcm"
    try:
        data = event.encoded_dataset()
        if len(data) > MAX_INSTANCE_BYTES:
            faults.append(f"The archive sent an image of more than {MAX_INSTANCE_BYTES} bytes.")
            return _CANNOT_UNDERSTAND
        path.write_bytes(data)
    except OSError as error:
        faults.append(f"Cannot write into the workspace: {error.strerror}. Free space or give another.")
        return _OUT_OF_RESOURCES
    written.append(path)
    return _SUCCESS


def _identifier(level: str, **keys: str | None) -> Dataset:
    dataset = Dataset()
    dataset.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(dataset, keyword, value)
    return dataset


def _count(dataset: Dataset) -> int | None:
    value = number(dataset, "NumberOfSeriesRelatedInstances")
    return None if value is None else int(value)

"""A DICOMweb server: QIDO-RS finds the studies, WADO-RS brings their series (DICOM PS3.18)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from SegAnyPETLib.batch.finding.multipart import MultipartError, multipart_bodies
from SegAnyPETLib.batch.finding.remote_address import WebAddress
from SegAnyPETLib.batch.finding.remote_fetch import MAX_INSTANCES, MAX_STUDIES, FetchError, RemoteSeries, checked_uid
from SegAnyPETLib.errors import InputError

PAGE = 500  # studies asked for at once
TIMEOUT_S = (10.0, 120.0)  # to connect, and between two packets: archives on tape take their time
BUSY = (429, 503, 504)  # HTTP states of a server that asks to try later
BUSY_RETRIES = 3
_CHUNK = 1 << 20
_AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'  # no server should have to convert

JSONDataset = Mapping[str, Any]  # DICOM JSON (PS3.18 annex F); what is in it is checked where it is read


class DICOMwebPeer:
    """A DICOMweb server that is asked for studies; see `Peer`."""

    def __init__(self, address: WebAddress) -> None:
        import requests
        from dicomweb_client import DICOMwebClient
        from requests.adapters import HTTPAdapter
        from urllib3.util import Retry

        # Both note addresses with patient identifiers at lower levels.
        for logger in ("dicomweb_client", "urllib3"):
            logging.getLogger(logger).setLevel(logging.ERROR)
        self.name = address.url
        self._query = dict(address.query)
        self._session = requests.Session()
        if address.user is not None:
            self._session.auth = (address.user, address.password or "")
        elif address.token is not None:
            self._session.headers["Authorization"] = f"Bearer {address.token}"
        busy = Retry(BUSY_RETRIES, connect=1, read=0, status_forcelist=BUSY, backoff_factor=0.5)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=busy))
        self._client = DICOMwebClient(address.url, session=self._session, timeout=TIMEOUT_S)
        self._client.set_http_retry_params(retry=False)  # its own tries a dead server for half a minute

    def studies(self) -> Iterator[str]:
        """Study Instance UIDs of the matching studies that may hold a PET.

        Raises:
            InputError: The server cannot be reached, or refuses.
        """
        seen: set[str] = set()
        while len(seen) <= MAX_STUDIES:
            page = self._page(offset=len(seen))
            new = [uid for uid in page if uid not in seen]
            yield from new
            seen.update(new)
            if not new:  # also ends with servers that know no offset and answer the same again
                return

    def series_of(self, study_instance_uid: str) -> list[RemoteSeries]:
        """All series of one study.

        Raises:
            FetchError: The server refuses, or does not answer in DICOM JSON.
        """
        with _refusals(self.name, "list the series of a study", as_fetch=True):
            found = self._client.search_for_series(
                study_instance_uid,
                fields=["Modality", "SeriesInstanceUID", "NumberOfSeriesRelatedInstances"],
            )
            return [
                RemoteSeries(study_instance_uid, uid, _first(one, "00080060") or "", _count(one))
                for one in found
                if (uid := _uid(one, "0020000E"))
            ]

    def fetch(self, series: RemoteSeries, folder: Path) -> int:
        """Write every image of a series as the server has it stored.

        Raises:
            FetchError: The server refuses, or breaks off.
        """
        url = f"{self.name}/studies/{series.study_instance_uid}/series/{series.series_instance_uid}"
        count = 0
        with (
            _refusals(self.name, "send a series", as_fetch=True),
            self._session.get(url, headers={"Accept": _AS_STORED}, stream=True, timeout=TIMEOUT_S) as response,
        ):
            response.raise_for_status()
            bodies = multipart_bodies(response.iter_content(_CHUNK), response.headers.get("Content-Type", ""))
            for count, body in enumerate(bodies, start=1):
                if count > MAX_INSTANCES:
                    msg = f"more than {MAX_INSTANCES} images"
                    raise MultipartError(msg)
                (folder / f"{count:06d}.dcm").write_bytes(body)
        return count

    def _page(self, *, offset: int) -> list[str]:
        filters = {"ModalitiesInStudy": "PT", **self._query}
        with _refusals(self.name, "search for studies", as_fetch=False):
            found = self._client.search_for_studies(limit=PAGE, offset=offset, search_filters=filters)
            return [uid for one in found if (uid := _uid(one, "0020000D"))]


@contextmanager
def _refusals(name: str, what: str, *, as_fetch: bool) -> Iterator[None]:
    """Say plainly what a server did; its own words and the address of the request may name patients and are dropped."""
    import requests

    try:
        yield
    except requests.HTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        why = f"refused to {what} (HTTP status {status})"
        advice = "Give user and password, see the manual." if status in (401, 403) else "Check the address."
    except (requests.RequestException, MultipartError) as error:
        why, advice = f"cannot {what} ({type(error).__name__})", "Check the address and that the server runs."
    except (ValueError, KeyError, TypeError, AttributeError):
        why, advice = f"cannot {what}: it does not answer in DICOM JSON", "Check the address."
    else:
        return
    msg = f"The DICOMweb server {name} {why}. {advice}"
    raise FetchError(msg) if as_fetch else InputError(msg)


def _first(dataset: JSONDataset, tag: str) -> str | None:
    values = dataset.get(tag, {}).get("Value") or []
    return str(values[0]) if values else None


def _uid(dataset: JSONDataset, tag: str) -> str | None:
    word = _first(dataset, tag)
    return checked_uid(word) if word else None


def _count(dataset: JSONDataset) -> int | None:
    word = _first(dataset, "00201209")
    return int(word) if word is not None and word.isdigit() else None

"""Addresses of DICOM peers as a person types them.

``dicomweb+https://host[:port]/path[?query]`` and ``dimse://AET@host:port[?query]``, where the query narrows the
search, for example ``?StudyDate=20260101-20260131&PatientID=123``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit, urlunsplit

from SegAnyPETLib.errors import InputError

_SCHEMES = ("dicomweb+http", "dicomweb+https", "dimse")
QUERY_KEYS = (
    "AccessionNumber",
    "PatientID",
    "PatientName",
    "StudyDate",
    "StudyDescription",
    "StudyID",
    "StudyInstanceUID",
    "StudyTime",
)  # matching keys every archive knows (DICOM PS3.4 C.6.2.1)
CALLING_AET = "calling"  # of a DIMSE address: the name under which the archive knows this machine
OWN_AET = "SEGANYPET"
_AET = re.compile(r"[\x21-\x5b\x5d-\x7e][\x20-\x5b\x5d-\x7e]{0,15}")  # DICOM PS3.5 section 6.2, AE
USER_VARIABLE, PASSWORD_VARIABLE = "SEGANYPET_DICOMWEB_USER", "SEGANYPET_DICOMWEB_PASSWORD"
TOKEN_VARIABLE = "SEGANYPET_DICOMWEB_TOKEN"


@dataclass(frozen=True)
class WebAddress:
    """A DICOMweb server.

    Attributes:
        url: Root of its services, without credentials and query.
        query: Matching keys of the studies wanted.
        user: From the address, else the environment; None to let ``.netrc`` decide. Never shown.
        password: As above.
        token: Bearer token from the environment.
    """

    url: str
    query: Mapping[str, str]
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class DIMSEAddress:
    """A DICOM archive that speaks DIMSE.

    Attributes:
        called_aet: Its application entity title.
        calling_aet: Ours.
        host: Name or address.
        port: TCP port.
        query: Matching keys of the studies wanted.
    """

    called_aet: str
    calling_aet: str
    host: str
    port: int
    query: Mapping[str, str]


def is_remote(source: str | Path) -> bool:
    """True for the address of a peer; everything else is a path."""
    return isinstance(source, str) and source.partition("://")[0].lower() in _SCHEMES


def without_credentials(source: str | Path) -> str:
    """The source as it may be shown and kept: an address loses its user and password, a path is as it was."""
    if not is_remote(source) or str(source).lower().startswith("dimse"):
        return str(source)
    parts = _split(str(source))
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def parse_web_address(source: str) -> WebAddress:
    """Parse ``dicomweb+http(s)://...``.

    Raises:
        InputError: It is malformed, or a key of its query is unknown.
    """
    parts = _split(source)
    place = urlunsplit((parts.scheme.removeprefix("dicomweb+"), parts.netloc.rpartition("@")[2], parts.path, "", ""))
    user, password = parts.username, parts.password
    if user is None:
        user, password = os.environ.get(USER_VARIABLE), os.environ.get(PASSWORD_VARIABLE)
    else:
        user, password = unquote(user), unquote(password or "")
    query = _query(parts)
    token = None if parts.username is not None else os.environ.get(TOKEN_VARIABLE)
    return WebAddress(place.rstrip("/"), query, user, password, token)


def parse_dimse_address(source: str) -> DIMSEAddress:
    """Parse ``dimse://AET@host:port``.

    Raises:
        InputError: It is malformed, an application entity title is invalid, or a key of its query is unknown.
    """
    parts = _split(source)
    query = _query(parts, CALLING_AET)
    calling = query.pop(CALLING_AET, OWN_AET)
    called = unquote(parts.username or "")
    if parts.port is None or parts.password is not None or parts.path not in ("", "/"):
        msg = f"Expected dimse://AET@host:port[?query]; found {without_credentials(source)!r}. Correct the address."
        raise InputError(msg)
    for title in (called, calling):
        if not _AET.fullmatch(title):
            msg = f"Expected application entity titles of 1 to 16 characters; found {title!r}. Ask the archive's owner."
            raise InputError(msg)
    return DIMSEAddress(called, calling, parts.hostname or "", parts.port, query)


def _split(source: str) -> SplitResult:
    try:
        parts = urlsplit(source)
        if not parts.hostname or parts.fragment or parts.port == 0:
            raise ValueError
    except ValueError:
        # The address may hold a password and is therefore not repeated.
        msg = (
            "Expected dicomweb+https://host[:port]/path[?query] or dimse://AET@host:port[?query]; found an address "
            "without a usable host or port. Correct it."
        )
        raise InputError(msg) from None
    return parts


def _query(parts: SplitResult, *more: str) -> dict[str, str]:
    found = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(set(found) - {*QUERY_KEYS, *more})
    if unknown:
        msg = f"Expected a query of {', '.join((*QUERY_KEYS, *more))}; found {', '.join(unknown)}. Correct the address."
        raise InputError(msg)
    return found

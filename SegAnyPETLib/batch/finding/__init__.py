"""Find the work: the studies of folders, archives, lists and DICOM peers, and the PET and CT series to use.

The names load on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from SegAnyPETLib.batch.finding.found_images import read_found_ct, read_found_pet
    from SegAnyPETLib.batch.finding.remote_address import without_credentials
    from SegAnyPETLib.batch.finding.search import SearchResult, find_studies, search_sources, studies_of_files

_HOMES = {
    "SearchResult": "search",
    "find_studies": "search",
    "read_found_ct": "found_images",
    "read_found_pet": "found_images",
    "search_sources": "search",
    "studies_of_files": "search",
    "without_credentials": "remote_address",
}

__all__ = [
    "SearchResult",
    "find_studies",
    "read_found_ct",
    "read_found_pet",
    "search_sources",
    "studies_of_files",
    "without_credentials",
]


def __getattr__(name: str) -> Any:  # a module attribute may be anything
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

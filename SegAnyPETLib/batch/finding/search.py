"""Find the studies of any mixture of sources."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from SegAnyPETLib.batch.finding.dicomdir import gather_dicomdir, is_dicomdir
from SegAnyPETLib.batch.finding.folder_search import gather_folder, gather_one_file
from SegAnyPETLib.batch.finding.gathering import Gathering
from SegAnyPETLib.batch.finding.list_file import FILES_ENDING, LIST_ENDINGS, read_list_file
from SegAnyPETLib.batch.finding.remote_address import is_remote, parse_dimse_address, parse_web_address
from SegAnyPETLib.batch.finding.study_grouping import group_studies
from SegAnyPETLib.batch.finding.zip_archive import gather_zip, is_zip
from SegAnyPETLib.batch.study import FoundStudy
from SegAnyPETLib.errors import InputError, OutputError


@dataclass(frozen=True)
class SearchResult:
    """What was found.

    Attributes:
        studies: Every study, also those that cannot be done; ordered by UID, so that each search gives the same.
        aside: What belongs to no study, was found twice or is damaged: counts by reason.
        files_read: How many headers were looked at.
    """

    studies: tuple[FoundStudy, ...]
    aside: Mapping[str, int]
    files_read: int

    def __str__(self) -> str:
        parts = [f"{count} {reason}" for reason, count in sorted(self.aside.items())]
        aside = f"; left aside: {', '.join(parts)}" if parts else ""
        return f"{len(self.studies)} study or studies in {self.files_read} files{aside}"


def search_sources(
    sources: Sequence[str | Path],
    *,
    workspace: Path,
    chosen_series: Collection[str] = (),
    on_file: Callable[[int], None] | None = None,
) -> SearchResult:
    """Find the studies of several sources; those that name the same study are merged.

    Headers are read once, and of each only what the choice of a series needs is kept. Peers and archives are fetched
    and unpacked into the workspace first, whole series or archives or nothing; what is there from an earlier search
    is used again.

    Args:
        sources: Folders (searched below too), DICOM files (with their study in the same folder), ZIP archives,
            DICOMDIR files, list files (``.txt`` or ``.csv``; one named ``*.files.txt`` lists every single DICOM file
            to be used), or addresses of peers, see `remote_address`.
        workspace: A folder for fetched and unpacked images, made readable to its owner only. It must stay until the
            studies are done.
        chosen_series: Series a person chose where the rules leave a doubt, by UID or by the digits shown there.
        on_file: Called with the number of files read so far; what it raises ends the search.

    Raises:
        InputError: A source does not exist, cannot be used or is refused, or a peer does not answer.
        OutputError: The workspace cannot be written.
    """
    if not sources:
        msg = "Expected a folder, DICOM file, ZIP, DICOMDIR, list file or address of a peer; found none. Give one."
        raise InputError(msg)
    gathering = Gathering(on_file=on_file)
    chosen = set(chosen_series)
    for source in sources:
        chosen |= _gather(source, gathering, workspace=workspace)
    studies = tuple(group_studies(gathering, chosen_series=chosen))
    return SearchResult(studies, dict(gathering.aside), gathering.files_read)


def find_studies(
    sources: Sequence[str | Path], *, workspace: Path, chosen_series: Collection[str] = ()
) -> list[FoundStudy]:
    """The studies of `search_sources`, without what was left aside.

    Raises:
        InputError: As `search_sources`.
        OutputError: As `search_sources`.
    """
    return list(search_sources(sources, workspace=workspace, chosen_series=chosen_series).studies)


def studies_of_files(files: Iterable[Path], *, source: str, chosen_series: Collection[str] = ()) -> list[FoundStudy]:
    """The studies that files belong to, for example those that the DICOM database of 3D Slicer lists.

    Args:
        files: In any order; each header is read once.
        source: What to call the place they come from, for people.
        chosen_series: As for `search_sources`.
    """
    gathering = Gathering()
    for path in files:
        gathering.add(path, place=source)
    return group_studies(gathering, chosen_series=chosen_series)


def _gather(source: str | Path, gathering: Gathering, *, workspace: Path) -> set[str]:
    """Gather one source; the UIDs of series that it points at itself."""
    if is_remote(source):
        _gather_peer(str(source), gathering, workspace=_private_folder(workspace))
        return set()
    path = Path(source)
    if path.is_dir():
        gather_folder(path, gathering)
    elif not path.is_file():
        msg = f"Expected a folder or a file; found nothing at {path}. Check the path."
        raise InputError(msg)
    elif path.name.lower().endswith(FILES_ENDING):
        for file in map(Path, read_list_file(path)):
            gathering.add(file, place=str(file.parent))
    elif path.suffix.lower() in LIST_ENDINGS:
        listed = [_gather(entry, gathering, workspace=workspace) for entry in read_list_file(path)]
        return set().union(*listed)
    elif is_dicomdir(path):
        gather_dicomdir(path, gathering)
    elif is_zip(path):
        gather_zip(path, gathering, workspace=_private_folder(workspace))
    else:
        pointed_at = gather_one_file(path, gathering)
        return {pointed_at} if pointed_at else set()
    return set()


def _gather_peer(source: str, gathering: Gathering, *, workspace: Path) -> None:
    # Imported here: neither library is needed for files on disk.
    from SegAnyPETLib.batch.finding.remote_fetch import gather_from_peer

    if source.lower().startswith("dimse"):
        from SegAnyPETLib.batch.finding.dimse_source import DIMSEPeer

        gather_from_peer(DIMSEPeer(parse_dimse_address(source)), gathering, workspace=workspace)
    else:
        from SegAnyPETLib.batch.finding.dicomweb_source import DICOMwebPeer

        gather_from_peer(DICOMwebPeer(parse_web_address(source)), gathering, workspace=workspace)


def _private_folder(workspace: Path) -> Path:
    """The workspace, made where it is absent; patient images lie in it, so only its owner may enter."""
    try:
        workspace.mkdir(mode=0o700, parents=True, exist_ok=True)
        workspace.chmod(0o700)
    except OSError as error:
        msg = f"Cannot use {workspace} for fetched images: {error.strerror}. Give a folder of your own."
        raise OutputError(msg) from error
    return workspace

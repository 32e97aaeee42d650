"""A study of a run read with its result, and its result replaced: what a panel does in a process of its own.

``python -m SegAnyPETLib.batch.correcting open OUT KEY FOLDER`` leaves image and lesions in FOLDER, and ``replace OUT
KEY FOLDER`` takes the corrected lesions from there; SOURCE arguments may follow, see `open_study`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from SegAnyPETLib.batch.exchange import ExchangedLesion, read_lesions, write_image, write_lesions
from SegAnyPETLib.batch.journal import Journal
from SegAnyPETLib.batch.run_folder import JOURNAL_NAME, refresh_tables, secret_of
from SegAnyPETLib.batch.study_run import STUDIES_FOLDER
from SegAnyPETLib.batch.study_steps import usual_steps
from SegAnyPETLib.errors import InputError, SegAnyPETError, SegAnyPETWarning

if TYPE_CHECKING:
    from SegAnyPETLib.batch.settings import BatchSettings
    from SegAnyPETLib.batch.study import FoundStudy


def open_study(out: Path, key: str, folder: Path, *, sources: Sequence[str] = ()) -> None:
    """Read a study that is done, and leave its image in SUV and its lesions in a folder, see `exchange`.

    Args:
        out: Folder of the run.
        key: Of the study.
        folder: For the arrays.
        sources: Where the run found its studies; empty for what its journal says.

    Raises:
        InputError: The study is not found any more, or has no result.
        SegAnyPETError: It cannot be read.
    """
    from SegAnyPETLib.batch.results import load_lesions

    steps = usual_steps()
    with tempfile.TemporaryDirectory(prefix="SegAnyPET-") as workspace:
        study, settings = _find(out, key, sources, workspace=Path(workspace))
        image = steps.convert(steps.read(study), settings)
    lesions = [ExchangedLesion.of(segment) for segment in load_lesions(out / STUDIES_FOLDER / key, image.grid)]
    write_image(folder, image)
    write_lesions(folder, lesions)


def replace_result(out: Path, key: str, folder: Path, *, sources: Sequence[str] = ()) -> None:
    """Write a study's result anew from the lesions in a folder, then its row and the tables of the run.

    Args:
        out: Folder of the run.
        key: Of the study.
        folder: Holds the lesions, see `exchange`.
        sources: As in `open_study`.

    Raises:
        InputError: The study is not found any more, has no result, or two lesions have the same label.
        GeometryError: The masks are not on its voxels.
        OutputError: The result cannot be written; the old one is then as it was.
        SegAnyPETError: The study cannot be read.
    """
    from SegAnyPETLib.batch.results import replace_lesions

    steps = usual_steps()
    segments = [lesion.segment() for lesion in read_lesions(folder)]
    with tempfile.TemporaryDirectory(prefix="SegAnyPET-") as workspace:
        study, settings = _find(out, key, sources, workspace=Path(workspace))
        series = steps.read(study)
        image = steps.convert(series, settings)
        hashes = replace_lesions(
            out / STUDIES_FOLDER / key,
            segments,
            series=series,
            image=image,
            settings=settings,
            salt=secret_of(out, settings),
        )
    with closing(Journal.open(out / JOURNAL_NAME)) as journal:
        journal.correct(key, lesions=len(segments), output_hashes=hashes)
        refresh_tables(out, journal)


def _find(out: Path, key: str, sources: Sequence[str], *, workspace: Path) -> tuple[FoundStudy, BatchSettings]:
    """The study with its files; the place its row names is looked at before all others."""
    from SegAnyPETLib.batch.finding import find_studies

    with closing(Journal.open(out / JOURNAL_NAME, read_only=True)) as journal:
        place, facts = journal.row(key).source, journal.run()
    everywhere = list(sources or facts.sources)
    for tried in ([place] if place and Path(place).exists() else [], everywhere):
        for study in find_studies(tried, workspace=workspace) if tried else ():
            if study.key == key:
                return study, facts.settings
    msg = (
        f"Expected study {key} where the run found it; it is not there any more. Bring its files back, or add the "
        "place they lie at now to the sources."
    )
    raise InputError(msg)


def main(arguments: Sequence[str]) -> int:
    """Run one of the two from the command line; what went wrong is written to standard error."""
    parser = argparse.ArgumentParser(prog="SegAnyPETLib.batch.correcting", description=__doc__)
    parser.add_argument("act", choices=("open", "replace"))
    parser.add_argument("out", type=Path)
    parser.add_argument("key")
    parser.add_argument("folder", type=Path)
    parser.add_argument("sources", nargs="*")
    wanted = parser.parse_args(arguments)
    act = open_study if wanted.act == "open" else replace_result
    warnings.simplefilter("ignore", SegAnyPETWarning)  # the run has told them
    try:
        act(wanted.out, wanted.key, wanted.folder, sources=wanted.sources)
    except SegAnyPETError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

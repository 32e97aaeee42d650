"""What the user sees: results on stdout, progress, warnings and errors on stderr."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from SegAnyPETLib.data.atomic import write_atomically
from SegAnyPETLib.errors import SegAnyPETWarning

PROGRESS_DELAY_S = 2.0  # what is done sooner needs no bar
STDOUT_NAME = "-"


def write_line(text: str = "") -> None:
    """Write one line of result to stdout."""
    sys.stdout.write(f"{text}\n")


def write_error(text: str) -> None:
    """Write one line to stderr, whatever line breaks the text holds, above a bar that may be there."""
    from tqdm import tqdm

    tqdm.write(f"seganypet: {' '.join(text.split())}", file=sys.stderr)


def write_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write columns to stdout: the first left-aligned, the others right-aligned."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    for row in (header, ["-" * width for width in widths], *rows):
        first, *others = zip(row, widths, strict=True)
        cells = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        write_line("  ".join(cells).rstrip())


def write_json(document: Mapping[str, Any], *, file: str = STDOUT_NAME) -> None:
    """Write a JSON document to a file, or to stdout where the name is "-".

    Raises:
        OutputError: The file cannot be written.
    """
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if file == STDOUT_NAME:
        sys.stdout.write(text)
        return
    with write_atomically(Path(file)) as temporary:
        temporary.write_text(text, encoding="utf-8")


class Progress:
    """A bar on stderr that appears only when a task takes more than two seconds."""

    def __init__(self, total: int, *, unit: str, is_quiet: bool) -> None:
        from tqdm import tqdm

        self._is_begun = False
        self._bar = tqdm(total=total, unit=unit, delay=PROGRESS_DELAY_S, disable=is_quiet, file=sys.stderr, leave=False)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def next_step(self, text: str) -> None:
        """Say what is being done now; the step before is done."""
        if self._is_begun:
            self._bar.update()
        self._is_begun = True
        self._bar.set_description_str(text)


class DownloadProgress:
    """A bar of bytes on stderr, for downloads that take more than two seconds."""

    def __init__(self, *, is_quiet: bool) -> None:
        from tqdm import tqdm

        self._bar = tqdm(
            unit="B", unit_scale=True, delay=PROGRESS_DELAY_S, disable=is_quiet, file=sys.stderr, leave=False
        )

    def __enter__(self) -> DownloadProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def show(self, here: int, expected: int | None) -> None:
        """Show how many bytes are here, and of how many where the hub says so."""
        self._bar.total = expected
        self._bar.update(here - self._bar.n)


@contextmanager
def shown_warnings(*, is_debug: bool) -> Iterator[None]:
    """Our own warnings as one line each on stderr; those of other libraries only with `--debug`.

    Other libraries quote the values they complain about, which in DICOM may be the patient's.
    """

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        write_error(f"warning: {message}")

    with warnings.catch_warnings():
        if not is_debug:
            warnings.simplefilter("ignore")
        warnings.simplefilter("always", SegAnyPETWarning)
        warnings.showwarning = show
        yield

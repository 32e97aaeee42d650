"""Exit codes of `seganypet`, for scripts.

  0   done
  1   unexpected failure: a bug; the traceback says where
  2   wrong usage of the command line
  3   the input cannot be used: path, DICOM, geometry or SUV
  4   a prompt cannot be used: outside the image, or nothing was found there
  5   the model cannot be used: name, weights, device, consent to a download
  6   a result cannot be written
  7   something must be installed first
  8   not enough memory
  9   a batch run ended, and some of its studies were not done; its tables say why
130   interrupted
"""

from __future__ import annotations

from enum import IntEnum

from SegAnyPETLib.errors import (
    DICOMError,
    GeometryError,
    InputError,
    ModelError,
    OutputError,
    PromptError,
    SegAnyPETError,
    SetupError,
    SUVError,
)


class ExitCode(IntEnum):
    """What the process tells its caller."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    INPUT = 3
    PROMPT = 4
    MODEL = 5
    OUTPUT = 6
    SETUP = 7
    MEMORY = 8
    INCOMPLETE = 9
    INTERRUPTED = 130


_CODES: tuple[tuple[type[SegAnyPETError], ExitCode], ...] = (
    (PromptError, ExitCode.PROMPT),
    (ModelError, ExitCode.MODEL),
    (OutputError, ExitCode.OUTPUT),
    (SetupError, ExitCode.SETUP),
    (InputError, ExitCode.INPUT),
    (DICOMError, ExitCode.INPUT),
    (SUVError, ExitCode.INPUT),
    (GeometryError, ExitCode.INPUT),
)


def exit_code_of(error: SegAnyPETError) -> ExitCode:
    """The code a caught error becomes."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.UNEXPECTED)

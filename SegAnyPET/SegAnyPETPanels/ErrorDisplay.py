"""Errors as the person in front of the screen sees them."""

from contextlib import contextmanager

import qt
import slicer

from SegAnyPETLib.errors import SegAnyPETError


@contextmanager
def shownErrors(message, *, isLong=False, also=()):
    """Show the library's own errors, which say what to do, without a traceback; others are faults and pass.

    Args:
        message: What could not be done.
        isLong: It takes seconds: the cursor says so.
        also: Other errors that are no faults of ours here, for example OSError where a folder may be read-only.
    """
    problem = ""
    if isLong:
        slicer.app.setOverrideCursor(qt.Qt.WaitCursor)
    try:
        yield
    except (SegAnyPETError, *also) as error:
        problem = f"{message}\n\n{error}"
    finally:
        if isLong:
            slicer.app.restoreOverrideCursor()
    if problem:
        slicer.util.errorDisplay(problem)

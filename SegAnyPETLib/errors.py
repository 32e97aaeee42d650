"""Every exception and warning of SegAnyPET.

    SegAnyPETError
    ├── InputError                 a path or an option given by the user leads to nothing usable
    ├── DICOMError                 a DICOM file or series cannot be used
    │   ├── MissingTagError            a needed tag is absent or empty
    │   └── InconsistentSeriesError    files contradict each other or are incomplete
    ├── SUVError                   no trustworthy SUV can be computed
    ├── GeometryError              grids, frames or shapes do not fit
    ├── PromptError (ValueError)   a click, box or seed cannot be used
    ├── SessionError (RuntimeError) calls in the wrong order
    │   └── PredictionCancelled        the caller cancelled; the session is as before
    ├── ModelError                 a model cannot be used
    │   ├── WeightsError               a weights file is missing, damaged or of another network
    │   ├── DeviceError                the device is absent or out of memory
    │   └── ConsentError               a download was asked for without the user's consent
    ├── OutputError                a result cannot be written
    ├── WorkerError                the engine in its own process failed
    └── SetupError                 something must be installed first

    SegAnyPETWarning (UserWarning) a harmless deviation that was tolerated

Each message says what was expected, what was found and what to do; the facts are attributes too.
"""

from __future__ import annotations


class SegAnyPETError(Exception):
    """Base of every error this library raises on purpose."""


class InputError(SegAnyPETError):
    """A path or an option given by the user leads to nothing usable, for example an empty folder of cases."""


class DICOMError(SegAnyPETError):
    """A DICOM file or series cannot be used."""


class MissingTagError(DICOMError):
    """A needed DICOM tag is absent or empty.

    Attributes:
        keyword: DICOM keyword, for example ``PatientWeight``.
        tag: The tag as printed in the standard, for example ``(0010,1030)``.
    """

    def __init__(self, keyword: str, tag: str, *, needed_for: str, advice: str, found: str = "nothing") -> None:
        self.keyword = keyword
        self.tag = tag
        super().__init__(f"{keyword} {tag} is needed for {needed_for}; found {found}. {advice}")


class InconsistentSeriesError(DICOMError):
    """The files of a series contradict each other or are incomplete."""


class SUVError(SegAnyPETError):
    """No trustworthy SUV can be computed from what was given."""


class GeometryError(SegAnyPETError):
    """Grids, frames or array shapes do not fit each other."""


class PromptError(SegAnyPETError, ValueError):
    """A click, box or seed mask cannot be used, for example because it lies outside the image."""


class SessionError(SegAnyPETError, RuntimeError):
    """A call came in the wrong order, for example `predict` before `set_image`."""


class PredictionCancelled(SessionError):  # noqa: N818  it is an outcome the caller asked for, not a fault
    """The caller cancelled the prediction; the session is as it was before."""


class ModelError(SegAnyPETError):
    """A model cannot be used."""


class WeightsError(ModelError):
    """A weights file is missing, damaged, unsafe, or belongs to another network."""


class DeviceError(ModelError):
    """The device is absent, or ran out of memory."""


class ConsentError(ModelError):
    """A download was asked for without the user's consent."""


class OutputError(SegAnyPETError):
    """A result cannot be written; nothing was left half-written."""


class WorkerError(SegAnyPETError):
    """The engine in its own process could not be started, died, or said what is not of the protocol."""


class SetupError(SegAnyPETError):
    """Something must be installed or restarted first.

    Attributes:
        restart_required: True when Slicer (or Python) must be restarted after the installation.
    """

    def __init__(self, message: str, *, restart_required: bool = False) -> None:
        self.restart_required = restart_required
        super().__init__(message)


class SegAnyPETWarning(UserWarning):
    """A harmless deviation that was tolerated; clinical doubts are errors instead."""

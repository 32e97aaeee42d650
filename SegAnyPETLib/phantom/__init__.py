"""Studies whose truth is known: blurred spheres in closed form, a body with organs and lesions, and their DICOM."""

from SegAnyPETLib.phantom.acquisition import Acquisition
from SegAnyPETLib.phantom.body import body_phantom
from SegAnyPETLib.phantom.dicom import write_phantom_series
from SegAnyPETLib.phantom.noise import Noise
from SegAnyPETLib.phantom.objects import Phantom, PhantomObject, centred_grid
from SegAnyPETLib.phantom.spheres import NEMA_DIAMETERS_MM, nema_phantom, sphere_profile

__all__ = [
    "NEMA_DIAMETERS_MM",
    "Acquisition",
    "Noise",
    "Phantom",
    "PhantomObject",
    "body_phantom",
    "centred_grid",
    "nema_phantom",
    "sphere_profile",
    "write_phantom_series",
]

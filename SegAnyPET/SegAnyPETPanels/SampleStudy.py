"""The phantom as sample data: a whole-body study whose lesions are known, computed on this computer."""

import slicer
from slicer.i18n import tr as _

from SegAnyPETPanels.PanelFiles import RESOURCES

NAME = "SegAnyPETPhantom"
NOISE_SEED = 7


def addPhantom(_source=None):
    """Compute the phantom and add it to the scene as a PET in SUV.

    Returns:
        The volume node.
    """
    from SegAnyPETLib.mrml import addVolumeNode
    from SegAnyPETLib.phantom import Noise, body_phantom
    from SegAnyPETLib.suv import SUVVolume

    phantom = body_phantom(noise=Noise(NOISE_SEED))
    image = SUVVolume(phantom.activity_suv, phantom.grid, "bw")
    return addVolumeNode(slicer.mrmlScene, image, name=_("Phantom PET"))


def registerSampleStudy():
    """Offer the phantom in Slicer's module Sample Data."""
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="SegAnyPET",
        sampleName=NAME,
        uris=[],  # nothing is downloaded; Slicer wants the lists all the same, and of equal length
        fileNames=[],
        customDownloader=addPhantom,
        thumbnailFileName=str(RESOURCES / "Icons" / f"{NAME}.png"),
    )

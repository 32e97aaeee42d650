"""From a PET as Slicer's DICOM module loads it, in Bq/ml without units, to lesions in a DICOM SEG and to contours."""

import numpy as np
import pydicom
import pytest
import slicer
from mrml_nodes import LPS_FROM_RAS
from panel_desk import PanelDesk

from SegAnyPETLib.phantom import body_phantom, centred_grid, write_phantom_series


@pytest.fixture
def a_study(tmp_path):
    """The phantom's middle as DICOM, and its true SUV."""
    phantom = body_phantom(grid=centred_grid((24, 40, 44), (7.0, 8.0, 9.0), centre_lps_mm=(0.0, 0.0, -10.0)))
    return write_phantom_series(phantom, tmp_path / "PET"), phantom


def as_slicer_loads_it(folder, phantom):
    files = sorted((pydicom.dcmread(path) for path in folder.iterdir()), key=lambda file: file.ImagePositionPatient[2])
    values = np.stack([file.pixel_array * float(file.RescaleSlope) for file in files])
    node = slicer.util.addVolumeFromArray(values.astype(np.float32), name="5: PET")
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(LPS_FROM_RAS @ phantom.grid.ijk_to_lps))
    node.SetAttribute("DICOM.instanceUIDs", " ".join(file.SOPInstanceUID for file in files))
    return node


def test_suv_is_computed_from_the_header_and_lesions_are_exported_for_the_same_study(
    a_slicer, engines, a_study, tmp_path
):
    folder, phantom = a_study
    desk = PanelDesk(a_slicer, engines, volume=False)
    loaded = as_slicer_loads_it(folder, phantom)
    desk.ui.volumeSelector.setCurrentNode(loaded)
    a_slicer.process()
    assert desk.editor.volumeNode is None
    a_slicer.dialogs.answer(str(folder))  # Slicer's DICOM database does not know these files
    a_slicer.press_button(desk.ui.convertButton)
    desk.volume = desk.editor.volumeNode
    assert desk.volume.GetName() == "5: PET SUVbw"
    assert desk.ui.volumeSelector.currentNode() is desk.volume
    np.testing.assert_allclose(slicer.util.arrayFromVolume(desk.volume), phantom.activity_suv, atol=0.01)
    assert desk.ui.unitsFrame.isVisible() is False

    hot = np.unravel_index(np.argmax(phantom.activity_suv), phantom.activity_suv.shape)
    desk.press("A")
    a_slicer.view("Red").click(phantom.grid.kji_to_lps(hot) * [-1, -1, 1])
    desk.wait()
    target = tmp_path / "lesions.dcm"
    written = []
    for entry in ("DICOM SEG", "DICOM RT Structure Set"):
        a_slicer.dialogs.answer(str(folder), str(target))
        export = next(each for each in desk.ui.exportButton.menu().actions() if entry in each.text)
        export.trigger()
        written.append(pydicom.dcmread(target))
        assert written[-1].StudyInstanceUID == pydicom.dcmread(next(folder.iterdir())).StudyInstanceUID
    segmentation, contours = written
    assert (segmentation.Modality, contours.Modality) == ("SEG", "RTSTRUCT")
    assert [segment.SegmentLabel for segment in segmentation.SegmentSequence] == ["Lesion 1"]
    assert [region.ROIName for region in contours.StructureSetROISequence] == ["Lesion 1"]


def test_a_header_without_the_weight_is_refused_and_names_the_tag(a_slicer, engines, a_study):
    folder, phantom = a_study
    for path in folder.iterdir():
        file = pydicom.dcmread(path)
        del file.PatientWeight
        file.save_as(path)
    desk = PanelDesk(a_slicer, engines, volume=False)
    desk.ui.volumeSelector.setCurrentNode(as_slicer_loads_it(folder, phantom))
    a_slicer.process()
    a_slicer.dialogs.answer(str(folder), "OK")
    a_slicer.press_button(desk.ui.convertButton)
    assert "(0010,1030)" in a_slicer.dialogs.shown[-1].text
    assert desk.ui.unitsFrame.isVisible()


def test_slicers_dicom_database_is_asked_before_the_user(a_slicer, engines, a_study, monkeypatch):
    folder, phantom = a_study
    files = {str(pydicom.dcmread(path).SOPInstanceUID): str(path) for path in folder.iterdir()}

    class Database:
        def fileForInstance(self, uid):
            return files[uid]

    monkeypatch.setattr(slicer, "dicomDatabase", Database(), raising=False)
    desk = PanelDesk(a_slicer, engines, volume=False)
    desk.ui.volumeSelector.setCurrentNode(as_slicer_loads_it(folder, phantom))
    a_slicer.process()
    a_slicer.press_button(desk.ui.convertButton)
    assert desk.editor.volumeNode.GetName() == "5: PET SUVbw"

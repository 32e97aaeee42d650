"""What lies beside the PET of a study: its CT, projections, captures, the uncorrected twin, another reconstruction."""

from __future__ import annotations

import copy

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, SecondaryCaptureImageStorage
from study_recipes import BODY, Recipe
from vendor_headers import identify_patient, rename

from SegAnyPETLib.phantom import centred_grid
from SegAnyPETLib.phantom.shapes import voxel_fraction

CT_SHAPE_KJI, CT_SPACING_IJK_MM = (18, 52, 58), (4.3, 4.3, 12.0)
AIR_HU, TISSUE_HU = -1000, 40


def ct_slices(recipe: Recipe) -> list[Dataset]:
    """The body in Hounsfield units, axial whatever the orientation of the PET."""
    grid = centred_grid(CT_SHAPE_KJI, CT_SPACING_IJK_MM)
    box, fraction = voxel_fraction(BODY, grid, samples=1)
    hounsfield = np.full(grid.shape_kji, AIR_HU, dtype=np.float64)
    hounsfield[box.slices] += (TISSUE_HU - AIR_HU) * fraction
    return [
        _ct_slice(recipe, k, np.rint(plane + 1024), grid.kji_to_lps((k, 0, 0))) for k, plane in enumerate(hounsfield)
    ]


def _ct_slice(recipe: Recipe, k: int, stored: np.ndarray, position: np.ndarray) -> Dataset:
    dataset = _new_image(recipe, CTImageStorage, series="CT", k=k)
    dataset.Modality, dataset.SeriesNumber, dataset.SeriesDescription = "CT", 2, "CT WB 3.0 low dose"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.KVP, dataset.AcquisitionNumber = "120", 1
    dataset.ImageOrientationPatient, dataset.PatientPosition = [1, 0, 0, 0, 1, 0], "HFS"
    dataset.ImagePositionPatient = [f"{value:.4f}" for value in position]
    dataset.PixelSpacing = [CT_SPACING_IJK_MM[1], CT_SPACING_IJK_MM[0]]
    dataset.SliceThickness = CT_SPACING_IJK_MM[2]
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "-1024", "1", "HU"
    _add_pixels(dataset, stored.astype("<u2"))
    return dataset


def projections(recipe: Recipe, pet: list[Dataset]) -> list[Dataset]:
    """Maximum intensity projections as scanners store them: PET images of a derived kind."""
    volume = np.stack([dataset.pixel_array for dataset in pet])
    found = []
    for k, axis in enumerate((1, 2)):
        dataset = copy.deepcopy(pet[0])
        rename(dataset, recipe, series="projections", k=k)
        dataset.ImageType, dataset.SeriesType = ["DERIVED", "SECONDARY", "MIP"], ["WHOLE BODY", "REPROJECTION"]
        dataset.SeriesNumber, dataset.SeriesDescription, dataset.InstanceNumber = 9, "MIP", k + 1
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        _add_pixels(dataset, volume.max(axis=axis).astype("<i2"))
        found.append(dataset)
    return found


def capture(recipe: Recipe) -> list[Dataset]:
    """A picture of the screen, filed as PT."""
    dataset = _new_image(recipe, SecondaryCaptureImageStorage, series="capture", k=0)
    dataset.Modality, dataset.ConversionType, dataset.SeriesDescription = "PT", "WSD", "Screen save"
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    _add_pixels(dataset, np.arange(64 * 64, dtype="<u2").reshape(64, 64))
    return [dataset]


def uncorrected(recipe: Recipe, pet: list[Dataset]) -> list[Dataset]:
    """The twin without attenuation correction: lower values, the same geometry."""
    twins = _copies(recipe, pet, series="uncorrected")
    for dataset in twins:
        dataset.CorrectedImage = [word for word in dataset.CorrectedImage if word not in ("ATTN", "SCAT")]
        dataset.SeriesNumber, dataset.SeriesDescription = 5, "PET NAC"
        dataset.RescaleSlope = f"{0.4 * float(dataset.RescaleSlope):.9g}"
    return twins


def other_reconstruction(recipe: Recipe, pet: list[Dataset]) -> list[Dataset]:
    """A second corrected series, equally good: nobody but a person can choose."""
    others = _copies(recipe, pet, series="other reconstruction")
    for dataset in others:
        dataset.SeriesNumber, dataset.SeriesDescription = 6, dataset.SeriesDescription + " PSF"
        dataset.ReconstructionMethod = "PSF+TOF 2i21s"
    return others


def _copies(recipe: Recipe, pet: list[Dataset], *, series: str) -> list[Dataset]:
    copies = [copy.deepcopy(dataset) for dataset in pet]
    for k, dataset in enumerate(copies):
        rename(dataset, recipe, series=series, k=k)
    return copies


def _new_image(recipe: Recipe, sop_class: str, *, series: str, k: int) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    identify_patient(dataset, recipe)
    rename(dataset, recipe, series=series, k=k)
    acquisition = recipe.acquisition
    dataset.PatientSex = acquisition.sex
    dataset.StudyID, dataset.ReferringPhysicianName = "1", ""
    dataset.SeriesDate = dataset.ContentDate = dataset.AcquisitionDate = dataset.StudyDate
    dataset.SeriesTime = dataset.ContentTime = dataset.AcquisitionTime = dataset.StudyTime
    dataset.SeriesNumber, dataset.InstanceNumber = 20, k + 1
    dataset.Manufacturer, dataset.PositionReferenceIndicator = recipe.style.vendor, ""
    return dataset


def _add_pixels(dataset: Dataset, plane: np.ndarray) -> None:
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = plane.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = int(plane.dtype.kind == "i")
    dataset.PixelData = plane.tobytes()
    dataset["PixelData"].VR = "OW"

"""Opening cases through every reader, what counts as one lesion, finding cases in a folder, and splits."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from little_cohort import LittleCohort, little_case

from SegAnyPETLib.data import (
    Segment,
    read_pet_series,
    write_dicom_seg,
    write_mask_nifti,
    write_rtstruct,
    write_seg_nrrd,
    write_volume_nifti,
)
from SegAnyPETLib.data.segment import LYMPH_NODE, ORGAN_TERMS, Algorithm
from SegAnyPETLib.errors import InputError, SegAnyPETError
from SegAnyPETLib.finetune.cohort import (
    CohortEntry,
    Manifest,
    check_cohort,
    load_case,
    make_case,
    propose_manifest,
    propose_splits,
    read_manifest,
    write_manifest,
)
from SegAnyPETLib.geometry import VoxelBox
from SegAnyPETLib.phantom import Acquisition, centred_grid, nema_phantom, write_phantom_series
from SegAnyPETLib.suv import SUVVolume

BY_HAND = Algorithm("none", "0")


@pytest.fixture(scope="module")
def dicom_site(tmp_path_factory):
    """Two patients; the first with a DICOM SEG that also holds the liver, the second with an RT Structure Set."""
    site = tmp_path_factory.mktemp("dicom site")
    truth = {}
    for number, kind in ((1, "seg"), (2, "rtstruct")):
        # RT contours lie on the slices, so they may be oblique too.
        grid = centred_grid(
            (16, 18, 20), (4.0, 4.5, 5.0), centre_lps_mm=(10.0 * number, -40.0, 300.0), orientation="oblique"
        )
        centre = (10.0 * number + 4.0, -38.0, 302.0)
        phantom = nema_phantom(grid=grid, diameters_mm=(28.0,), centres_lps_mm=(centre,))
        folder = site / f"study {number}"
        write_phantom_series(phantom, folder / "PET", acquisition=Acquisition(weight_kg=60.0 + number))
        series = read_pet_series(folder / "PET")
        mask = phantom.objects[0].mask
        liver = np.zeros_like(mask)
        liver[:3, :4] = True
        segments = [
            Segment("Lesion", mask, algorithm=BY_HAND),
            Segment("Liver", liver, terminology=ORGAN_TERMS["liver"], algorithm=BY_HAND),
        ]
        if kind == "seg":
            write_dicom_seg(folder / "seg.dcm", source=series, segments=segments)
        else:
            write_rtstruct(folder / "rs.dcm", source=series, segments=segments)
        truth[number] = (phantom, mask)
    return site, truth


def entry_of(case, folder):
    image = write_volume_nifti(folder / "pet.nii.gz", case.suv, grid=case.grid)
    return CohortEntry(case.name, "p", image, folder / "label")


def test_lesions_that_touch_stay_apart_where_they_are_segments_and_pieces_of_one_segment_come_apart(tmp_path):
    case = little_case(1)
    first, second, third = (np.zeros_like(case.label) for _ in range(3))
    first[5:9, 5:9, 5:9] = True
    second[9:12, 5:9, 5:9] = True  # touches the first
    third[20:22, 20:22, 20:22] = third[22, 22, 22] = True  # joined by a corner
    third[28, 28, 28] = True  # apart
    label = write_seg_nrrd(
        tmp_path / "x.seg.nrrd", [Segment("a", first), Segment("b", second), Segment("c", third)], grid=case.grid
    )
    lesions = load_case(replace(entry_of(case, tmp_path), label=label)).lesions
    assert [(lesion.name, int(lesion.mask.sum())) for lesion in lesions] == [("a", 64), ("b", 48), ("c", 9), ("c", 1)]
    whole = np.zeros_like(first)
    for lesion in lesions:
        whole[lesion.box.slices] |= lesion.mask
    np.testing.assert_array_equal(whole, first | second | third)


def test_a_label_that_was_cropped_to_its_lesion_lies_where_it_should(tmp_path):
    case = little_case(2)
    where = np.argwhere(case.label)
    start, stop = where.min(0), where.max(0) + 1
    box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    own = case.grid.crop(VoxelBox(tuple(start.tolist()), tuple(stop.tolist())))
    label = write_mask_nifti(tmp_path / "gtv.nii.gz", case.label[box], grid=own)
    loaded = load_case(replace(entry_of(case, tmp_path), label=label))
    np.testing.assert_array_equal(loaded.label, case.label)
    assert [note.kind for note in loaded.notes] == ["grid"]


def test_anatomy_is_no_lesion_unless_it_is_named(tmp_path):
    case = little_case(1)
    node, liver = np.zeros_like(case.label), np.zeros_like(case.label)
    node[3:6, 3:6, 3:6] = True
    liver[20:30, 20:30, 20:30] = True
    segments = [
        Segment("Lesion", case.label),
        Segment("Node", node, terminology=LYMPH_NODE),
        Segment("Liver", liver, terminology=ORGAN_TERMS["liver"]),
    ]
    label = write_seg_nrrd(tmp_path / "x.seg.nrrd", segments, grid=case.grid)
    entry = replace(entry_of(case, tmp_path), label=label)
    assert {lesion.name for lesion in load_case(entry).lesions} == {"Lesion", "Node"}
    assert {lesion.name for lesion in load_case(replace(entry, label_names=("Liver",))).lesions} == {"Liver"}
    with pytest.raises(InputError, match="it has Lesion, Node, Liver"):
        load_case(replace(entry, label_names=("Spleen",)))


def test_activity_with_a_factor_becomes_suv(tmp_path):
    case = little_case(1)
    image = write_volume_nifti(tmp_path / "pet.nii.gz", case.suv * np.float32(5000), grid=case.grid)
    label = write_mask_nifti(tmp_path / "gtv.nii.gz", case.label, grid=case.grid)
    loaded = load_case(CohortEntry("a", "p", image, label, units="bqml", suv_factor=2e-4))
    np.testing.assert_allclose(loaded.suv, case.suv, rtol=1e-5)
    assert loaded.volume_ml == pytest.approx(case.label.sum() * 4.0 * 3.5 * 4.5 / 1000)


def test_a_case_of_the_open_scene_needs_no_files():
    case = little_case(1)
    entry = CohortEntry("scene", "p", None, None)
    made = make_case(entry, SUVVolume(case.suv, case.grid), [Segment("Lesion", case.label)])
    np.testing.assert_array_equal(made.label, case.label)
    with pytest.raises(SegAnyPETError, match="Expected segments"):
        make_case(entry, SUVVolume(case.suv, case.grid), [Segment("Lesion", case.label[1:])])


def test_dicom_with_seg_and_with_contours_is_found_and_opened(dicom_site):
    site, truth = dicom_site
    manifest = propose_manifest(site, validation_share=0.0)
    assert [entry.label.name for entry in manifest.entries] == ["seg.dcm", "rs.dcm"]
    for number, entry in enumerate(manifest.entries, start=1):
        phantom, mask = truth[number]
        case = load_case(entry)
        np.testing.assert_allclose(case.suv, phantom.activity_suv, atol=0.01)
        np.testing.assert_array_equal(case.label, mask)
    table = write_manifest(manifest, site.parent / "dicom.csv")
    assert read_manifest(table) == manifest


def test_patients_of_dicom_get_numbers_and_their_identifiers_are_written_nowhere(dicom_site, tmp_path):
    site, _ = dicom_site
    identifier = str(pydicom.dcmread(next((site / "study 1" / "PET").iterdir())).PatientID)
    manifest = propose_manifest(site, validation_share=0.0)
    text = write_manifest(manifest, tmp_path / "m.csv").read_text(encoding="utf-8")
    assert identifier
    assert identifier not in text.replace(str(site), "")
    assert manifest.entries[0].patient == "dicom patient 1"


def test_pairs_are_found_by_their_names(tmp_path):
    site = tmp_path / "site"

    def put(*names):
        for name in names:
            path = site / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")

    put("a/PET.nii.gz", "a/CT.nii.gz", "a/GTV.nii.gz")
    put("b/visit 1/SUV.nii.gz", "b/visit 1/SEG.nii.gz", "b/visit 2/SUV.nii.gz", "b/visit 2/SEG.nii.gz")
    put("flat/P1_pet.nrrd", "flat/P1_seg.seg.nrrd", "flat/P2_pet.nrrd", "flat/P2_mask.nrrd", "flat/P3_pet.nrrd")
    put("two/pet.nii", "two/lesion_left.nii", "two/lesion_right.nii")
    manifest = propose_manifest(site, validation_share=0.0, quality="LQ")
    found = {entry.case: (entry.patient, entry.image.name, entry.label.name) for entry in manifest.entries}
    assert found == {
        "a": ("a", "PET.nii.gz", "GTV.nii.gz"),
        "b_visit 1": ("b", "SUV.nii.gz", "SEG.nii.gz"),
        "b_visit 2": ("b", "SUV.nii.gz", "SEG.nii.gz"),
        "flat_P1": ("flat", "P1_pet.nrrd", "P1_seg.seg.nrrd"),
        "flat_P2": ("flat", "P2_pet.nrrd", "P2_mask.nrrd"),
        "two_lesion_left": ("two", "pet.nii", "lesion_left.nii"),
        "two_lesion_right": ("two", "pet.nii", "lesion_right.nii"),
    }
    assert {entry.quality for entry in manifest.entries} == {"LQ"}
    assert any("1 images have no label" in note for note in manifest.notes)


def test_cases_side_by_side_in_one_folder_are_patients_of_their_own(tmp_path):
    for name in ("P1_pet.nii", "P1_seg.nii", "P2_pet.nii", "P2_seg.nii"):
        (tmp_path / name).write_bytes(b"")
    manifest = propose_manifest(tmp_path, validation_share=0.0)
    assert [(entry.case, entry.patient) for entry in manifest.entries] == [("P1", "P1"), ("P2", "P2")]


def test_the_pet_among_the_channels_of_nnunet_is_found(tmp_path):
    for name in ("imagesTr/A_0000.nii.gz", "imagesTr/A_0001.nii.gz", "labelsTr/A.nii.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match="which is the PET"):
        propose_manifest(tmp_path)
    (tmp_path / "dataset.json").write_text(json.dumps({"channel_names": {"0": "CT", "1": "PET"}}))
    (entry,) = propose_manifest(tmp_path, validation_share=0.0).entries
    assert (entry.case, entry.image.name) == ("A", "A_0001.nii.gz")


def batch_study(folder, series, mask, *, corrected):
    """What a batch run leaves of one study, as far as it is read here."""
    folder.mkdir(parents=True)
    other, organ = np.zeros_like(mask), np.zeros_like(mask)
    other[:2, :3, :4] = True
    organ[-2:, -3:, -4:] = True
    segments = [Segment("Lesion 1", mask), Segment("Lesion 2", other), Segment("Bladder", organ)]
    write_seg_nrrd(folder / "lesions.seg.nrrd", segments, grid=series.grid)
    rows = [
        {"label": "Lesion 1", "is_corrected": corrected, "is_physiological": False},
        {"label": "Lesion 2", "is_corrected": False, "is_physiological": False},
        {"label": "Bladder", "is_corrected": False, "is_physiological": True},
    ]
    patient = {"patient_key": "k1", "series_instance_uid": series.series_instance_uid}
    content = {"schema": "seganypet-study/1", "key": folder.name, "patient": patient, "lesions": rows}
    (folder / "study.json").write_text(json.dumps(content))


def test_corrected_lesions_of_a_batch_run_are_careful_and_the_others_careless(dicom_site, tmp_path):
    site, truth = dicom_site
    series = read_pet_series(site / "study 1" / "PET")
    batch_study(tmp_path / "out" / "studies" / "abc", series, truth[1][1], corrected=True)
    with pytest.raises(InputError, match="Name the folder of its images"):
        propose_manifest(tmp_path / "out")
    manifest = propose_manifest(tmp_path / "out", images=[site], validation_share=0.0)
    facts = [(entry.case, entry.patient, entry.quality, entry.label_names) for entry in manifest.entries]
    assert facts == [
        ("abc", "k1", "HQ", ("Lesion 1",)),
        ("abc_uncorrected", "k1", "LQ", ("Lesion 2",)),
    ]
    np.testing.assert_array_equal(load_case(manifest.entries[0]).label, truth[1][1])
    assert load_case(manifest.entries[1]).label.sum() == 24


def test_nothing_in_the_folder_of_the_site_is_changed(dicom_site, tmp_path):
    site = tmp_path / "site"
    shutil.copytree(dicom_site[0], site)
    case = little_case(3)
    entry_of(case, site)
    write_mask_nifti(site / "gtv.nii.gz", case.label, grid=case.grid)
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(site.rglob("*"))}
    for path in (site, *before):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        manifest = propose_manifest(site)
        write_manifest(manifest, tmp_path / "m.csv")
        check_cohort(read_manifest(tmp_path / "m.csv"))
        _ = manifest.fingerprint
    finally:
        for path in (site, *before):
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(site.rglob("*"))} == before
    assert len(manifest.entries) == 3


def test_a_folder_without_cases_is_said_to_have_none(tmp_path):
    (tmp_path / "readme.txt").write_text("nothing")
    with pytest.raises(InputError, match="found none among 1 files"):
        propose_manifest(tmp_path)
    with pytest.raises(InputError, match="found none at"):
        propose_manifest(tmp_path / "absent")


def cohort_of(count, *, careful, per_patient=1):
    entries = [
        CohortEntry(f"c{n}_{m}", f"p{n}", None, None, "HQ" if n < careful else "LQ")
        for n in range(count)
        for m in range(per_patient)
    ]
    volumes = {entry.case: (0.5, 3.0, 12.0, 60.0)[int(entry.patient[1:]) % 4] for entry in entries}
    return Manifest(tuple(entries)), volumes


def test_splits_keep_patients_together_and_sizes_even():
    manifest, volumes = cohort_of(40, careful=40, per_patient=2)
    proposed = propose_splits(manifest, seed=3, validation_share=0.2, test_share=0.2, volumes_ml=volumes)
    by_patient = {}
    for entry in proposed.entries:
        by_patient.setdefault(entry.patient, set()).add(entry.split)
    assert all(len(splits) == 1 for splits in by_patient.values())
    for split in ("validation", "test"):
        patients = [patient for patient, (own,) in by_patient.items() if own == split]
        assert len(patients) == 8
        counts = np.bincount([int(patient[1:]) % 4 for patient in patients], minlength=4)
        assert counts.min() >= 1
        assert counts.max() <= 3
    assert proposed.notes == ()


def test_the_same_seed_gives_the_same_splits_in_any_order_and_another_seed_others():
    manifest, volumes = cohort_of(20, careful=20)
    proposed = propose_splits(manifest, seed=1, volumes_ml=volumes)
    again = propose_splits(Manifest(tuple(reversed(manifest.entries))), seed=1, volumes_ml=volumes)
    assert set(proposed.entries) == set(again.entries)
    assert set(proposed.entries) != set(propose_splits(manifest, seed=2, volumes_ml=volumes).entries)


def test_validation_is_of_careful_patients_only_and_says_where_they_are_too_few():
    manifest, volumes = cohort_of(20, careful=5)
    proposed = propose_splits(manifest, seed=1, validation_share=0.2, volumes_ml=volumes)
    chosen = [entry for entry in proposed.entries if entry.split == "validation"]
    assert {entry.quality for entry in chosen} == {"HQ"}
    assert len(chosen) == 2  # 4 are wanted, and 3 of the 5 stay in training
    assert "Only 2 of 4" in proposed.notes[0]


def test_shares_that_leave_nothing_to_train_on_are_refused():
    manifest, volumes = cohort_of(4, careful=4)
    with pytest.raises(InputError, match="below 1"):
        propose_splits(manifest, seed=1, validation_share=0.5, test_share=0.5, volumes_ml=volumes)


def test_cases_that_cannot_be_opened_do_not_stop_the_splits(tmp_path):
    cohort = LittleCohort(tmp_path)
    for seed in (1, 2, 3, 4, 5):
        cohort.add(seed)
    manifest = cohort.manifest()
    manifest.entries[0].image.unlink()
    proposed = propose_splits(manifest, seed=1)
    assert [entry.split for entry in proposed.entries].count("validation") == 1

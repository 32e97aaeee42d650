"""Planted mistakes are found, each by its name, and a cohort without any is passed in silence."""

from dataclasses import replace

import numpy as np
import pytest
from little_cohort import LittleCohort, little_case, moved
from scipy import ndimage

from SegAnyPETLib.data import write_seg_nrrd, write_volume_nifti
from SegAnyPETLib.data.segment import Segment
from SegAnyPETLib.finetune.cohort import CohortEntry, Manifest, check_cohort, load_case
from SegAnyPETLib.geometry import Grid


@pytest.fixture
def a_cohort(tmp_path) -> LittleCohort:
    return LittleCohort(tmp_path)


def kinds(findings, case):
    return {finding.kind for finding in findings if finding.case == case}


def only(findings, kind):
    (finding,) = [finding for finding in findings if finding.kind == kind]
    return finding


def test_a_clean_cohort_gives_no_finding(a_cohort):
    for seed in range(1, 9):
        a_cohort.add(seed, split=("train", "validation", "test")[seed % 3], quality="LQ" if seed > 4 else "HQ")
    assert check_cohort(a_cohort.manifest()) == []


def test_a_clean_case_in_every_orientation_gives_no_finding(a_cohort):
    for seed, orientation in enumerate(("axial", "coronal", "sagittal"), start=5):
        a_cohort.cases.append(little_case(seed, orientation=orientation))
    assert check_cohort(a_cohort.manifest()) == []


@pytest.mark.parametrize("offset", [(3, 0, 0), (0, -4, 0), (2, 2, -3)])
def test_a_shifted_label_is_found_with_the_way_back(a_cohort, offset):
    case = a_cohort.add(1)
    case.label = moved(case.label, offset)
    finding = only(check_cohort(a_cohort.manifest()), "shifted")
    back = case.grid.kji_to_lps((0, 0, 0)) - case.grid.kji_to_lps(offset)
    said = [float(word) for word in finding.message.replace(",", "").split() if word[0] in "+-"]
    np.testing.assert_allclose(said, back, atol=5.0)
    assert finding.severity == "warning"


@pytest.mark.parametrize(("axis", "name"), [(0, "head-foot"), (1, "front-back"), (2, "left-right")])
def test_a_mirrored_label_is_found_with_its_axis(a_cohort, axis, name):
    case = a_cohort.add(2)
    case.label = np.flip(case.label, axis)
    finding = only(check_cohort(a_cohort.manifest()), "mirrored")
    assert f"mirrored {name}" in finding.message


def test_the_axis_of_a_mirrored_label_is_that_of_the_patient_not_of_the_array(a_cohort):
    case = little_case(3, orientation="sagittal")  # slices advance from side to side
    case.label = np.flip(case.label, 0)
    a_cohort.cases.append(case)
    assert "mirrored left-right" in only(check_cohort(a_cohort.manifest()), "mirrored").message


def test_labels_of_nothing_and_of_everything_are_errors(a_cohort):
    a_cohort.add(1, label=np.zeros((34, 40, 44), dtype=bool))
    inverted = a_cohort.add(2)
    inverted.label = ~inverted.label
    findings = check_cohort(a_cohort.manifest())
    assert only(findings, "empty").case == "case_001"
    assert f"{100 * inverted.label.mean():.0f} %" in only(findings, "everything").message
    assert {finding.severity for finding in findings} == {"error"}


def test_other_values_are_said_and_taken_for_lesions_of_their_own(a_cohort):
    case = a_cohort.add(1)
    k = int(np.argwhere(case.label)[:, 0].mean())
    values = case.label.astype(np.float32) * 3
    values[k:] *= 2  # touches the other half
    case.label = values
    manifest = a_cohort.manifest()
    assert "3, 6" in only(check_cohort(manifest), "values").message
    assert sorted(lesion.name for lesion in load_case(manifest.entries[0]).lesions) == ["3", "6"]


def test_a_label_with_fractions_is_cut_at_a_half(a_cohort):
    case = a_cohort.add(1)
    truth = case.label
    case.label = truth.astype(np.float32) * np.float32(0.8) + np.float32(0.1)
    manifest = a_cohort.manifest()
    assert "above 0.5" in only(check_cohort(manifest), "values").message
    np.testing.assert_array_equal(load_case(manifest.entries[0]).label, truth)


def test_a_label_on_another_grid_is_said_and_taken_to_the_image(a_cohort):
    case = a_cohort.add(1)
    truth, grid = case.label, case.grid
    fine = Grid(tuple(2 * n for n in grid.shape_kji), tuple(s / 2 for s in grid.spacing_ijk_mm),
                tuple(grid.kji_to_lps((-0.25, -0.25, -0.25))), grid.direction)  # fmt: skip
    case.label, case.label_grid = truth.repeat(2, 0).repeat(2, 1).repeat(2, 2), fine
    manifest = a_cohort.manifest()
    assert "another grid" in only(check_cohort(manifest), "grid").message
    np.testing.assert_array_equal(load_case(manifest.entries[0]).label, truth)


def test_a_label_of_another_place_is_an_error(a_cohort):
    case = a_cohort.add(1)
    x, y, z = case.grid.origin_lps_mm
    case.label_grid = replace(case.grid, origin_lps_mm=(x, y, z + 500.0))
    finding = only(check_cohort(a_cohort.manifest()), "grid")
    assert finding.severity == "error"
    assert "0 ml of its" in finding.message


def test_files_that_cannot_be_read_do_not_stop_the_others(a_cohort):
    for seed in (1, 2, 3):
        a_cohort.add(seed)
    manifest = a_cohort.manifest()
    manifest.entries[0].image.write_bytes(b"no image")
    manifest.entries[1].label.unlink()
    findings = check_cohort(manifest)
    assert [(finding.case, finding.kind) for finding in findings] == [
        ("case_001", "unreadable"),
        ("case_002", "unreadable"),
    ]


def test_activity_that_is_called_suv_is_refused(a_cohort):
    case = a_cohort.add(1)
    case.suv = case.suv * np.float32(5000)
    assert "Bq/ml" in only(check_cohort(a_cohort.manifest()), "unreadable").message


def test_a_copy_in_another_number_type_and_order_of_axes_is_found(a_cohort):
    original = a_cohort.add(1)
    manifest = a_cohort.manifest()
    turned = np.flip(original.suv.transpose(2, 0, 1), 1)
    grid = original.grid
    # array axes (i, -k, j) of the old one: new i = old j, new j = old -k, new k = old i
    old = np.asarray(grid.ijk_to_lps)
    new = np.eye(4)
    new[:3, 0], new[:3, 1], new[:3, 2] = old[:3, 1], -old[:3, 2], old[:3, 0]
    new[:3, 3] = grid.kji_to_lps((grid.shape_kji[0] - 1, 0, 0))
    place = a_cohort.folder / "copy"
    place.mkdir()
    copy_grid = Grid.from_ijk_to_lps(new, shape_kji=turned.shape)
    rounded = np.round(turned * 100).astype(np.int16).astype(np.float32) / 100
    image = write_volume_nifti(place / "pet.nii.gz", np.ascontiguousarray(rounded), grid=copy_grid)
    first = manifest.entries[0]
    copy = CohortEntry("copy", "somebody else", image, first.label, "HQ", "train")
    finding = only(check_cohort(Manifest((first, copy))), "duplicate")
    assert (finding.case, finding.severity) == ("copy", "error")
    leaked = check_cohort(Manifest((first, replace(copy, patient=first.patient, split="test"))))
    assert [finding.kind for finding in leaked if finding.severity == "error"] == ["leak", "leak"]


def test_two_labels_of_one_image_are_a_duplicate_only_where_they_overlap(a_cohort):
    case = a_cohort.add(1)
    manifest = a_cohort.manifest()
    (first,) = manifest.entries
    again = CohortEntry("again", first.patient, first.image, first.label)
    assert only(check_cohort(Manifest((first, again))), "duplicate").severity == "warning"
    half = np.zeros_like(case.label)
    half[int(np.argwhere(case.label)[:, 0].mean()) :] = True
    other = a_cohort.folder / "two.seg.nrrd"
    write_seg_nrrd(other, [Segment("upper", case.label & half), Segment("lower", case.label & ~half)], grid=case.grid)
    parts = [CohortEntry(name, first.patient, first.image, other, label_names=(name,)) for name in ("upper", "lower")]
    assert not [finding for finding in check_cohort(Manifest(tuple(parts))) if finding.kind == "duplicate"]


def test_a_label_copied_to_another_image_is_found(a_cohort):
    first, second = a_cohort.add(1), a_cohort.add(2)
    second.label = moved(first.label, (1, 0, 1))
    findings = check_cohort(a_cohort.manifest())
    assert "copied label" in kinds(findings, "case_002")
    assert kinds(findings, "case_001") == set()


def test_a_patient_in_two_splits_is_a_leak(a_cohort):
    a_cohort.add(1, patient="same", split="train")
    a_cohort.add(2, patient="same", split="test")
    finding = only(check_cohort(a_cohort.manifest()), "leak")
    assert finding.severity == "error"
    assert "patient same is in test and train" in finding.message


@pytest.mark.parametrize(
    ("threshold", "said"), [(0.41, "41 % of the hottest"), (0.5, "50 % of the hottest"), (2.5, "SUV 2.5")]
)
def test_labels_that_are_thresholds_are_called_so(a_cohort, threshold, said):
    case = a_cohort.add(4)
    near = np.zeros_like(case.label)
    box = np.argwhere(case.label)
    near[tuple(slice(a - 2, b + 3) for a, b in zip(box.min(0), box.max(0), strict=True))] = True
    level = threshold if threshold > 1 else threshold * case.suv[case.label].max()
    case.label = near & (case.suv >= level)
    findings = check_cohort(a_cohort.manifest())
    assert said in only(findings, "threshold").message
    assert only(findings, "threshold").severity == "warning"
    case.quality = "LQ"
    assert only(check_cohort(a_cohort.manifest()), "threshold").severity == "note"


def test_slices_that_do_not_fit_each_other_are_found(a_cohort):
    gaps, jitter = a_cohort.add(1), a_cohort.add(2)
    gaps.label = gaps.label.copy()
    gaps.label[::3] = False
    rng = np.random.default_rng(1)
    jitter.label = np.stack([np.roll(plane, rng.integers(-3, 4, 2), (0, 1)) for plane in jitter.label])
    findings = check_cohort(a_cohort.manifest())
    for case in ("case_001", "case_002"):
        (finding,) = [finding for finding in findings if finding.case == case and finding.kind == "jagged"]
        assert "along k" in finding.message


def test_a_label_that_ignores_the_uptake_and_one_that_misses_most_of_it_are_found(a_cohort):
    cold, part = a_cohort.add(1), a_cohort.add(2)
    cold.label = np.roll(cold.label, (-14, 14), (1, 2))  # into the warm background
    part.label = part.label.copy()
    middle = int(np.argwhere(part.label)[:, 0].mean())
    part.label[:middle], part.label[middle + 1 :] = False, False
    findings = check_cohort(a_cohort.manifest())
    assert "flat border" in kinds(findings, "case_001")
    assert "small" in kinds(findings, "case_002")


def test_odd_voxels_are_noted(a_cohort):
    case = a_cohort.add(1)
    case.grid = replace(case.grid, spacing_ijk_mm=(2.0, 2.0, 10.0))
    assert "2.00 x 2.00 x 10.00" in only(check_cohort(a_cohort.manifest()), "spacing").message


def test_findings_come_most_severe_first_and_by_case(a_cohort):
    seen = []
    for seed in (1, 2, 3):
        a_cohort.add(seed)
    a_cohort.cases[2].label = np.zeros_like(a_cohort.cases[2].label)
    a_cohort.cases[0].label = moved(a_cohort.cases[0].label, (3, 2, 0))
    findings = check_cohort(
        a_cohort.manifest(), on_case=lambda entry, case, found: seen.append((entry.case, len(found)))
    )
    assert [name for name, _ in seen] == ["case_001", "case_002", "case_003"]
    assert [finding.severity for finding in findings] == sorted(finding.severity for finding in findings)
    assert findings[0].case == "case_003"


@pytest.mark.parametrize(("moved_mm", "word"), [(8.0, "large"), (-6.0, "small")])
def test_careless_labels_that_are_drawn_otherwise_are_told_of_as_a_whole(a_cohort, moved_mm, word):
    for seed in range(1, 9):
        case = a_cohort.add(seed, quality="LQ" if seed > 4 else "HQ")
        if seed > 4:
            spacing = case.grid.spacing_kji_mm
            depth = ndimage.distance_transform_edt(case.label, sampling=spacing)
            away = ndimage.distance_transform_edt(~case.label, sampling=spacing)
            case.label = away <= moved_mm if moved_mm > 0 else depth > -moved_mm
    finding = only(check_cohort(a_cohort.manifest()), "drawn otherwise")
    assert (finding.case, finding.severity) == ("", "note")
    millimetres = int(finding.message.split(" mm too ")[0].split()[-1])
    assert millimetres == pytest.approx(abs(moved_mm), abs=2.5)  # voxels have 3.5 to 4.5 mm
    assert f"mm too {word}" in finding.message
    assert "4 and 4 cases" in finding.message
    assert str(finding).startswith("note: all cases: the careless labels")


def test_labels_are_compared_in_size_only_where_there_are_three_of_each_kind(a_cohort):
    for seed in range(1, 7):
        a_cohort.add(seed, quality="LQ" if seed > 2 else "HQ")
    for case in a_cohort.cases[2:]:
        case.label = ndimage.binary_dilation(case.label, iterations=2)
    assert not [one for one in check_cohort(a_cohort.manifest()) if one.kind == "drawn otherwise"]


def test_the_real_cases_give_no_errors_and_few_warnings(real_data_folder):
    folders = sorted(path for path in (real_data_folder / "sts").iterdir() if path.is_dir())
    entries = [CohortEntry(path.name, path.name, path / "pet.nii.gz", path / "gtv.nii.gz") for path in folders]
    findings = check_cohort(Manifest(tuple(entries)))
    assert not [finding for finding in findings if finding.severity == "error"]
    # In these two the tumour is on average colder than what is around it, as the data's description says.
    assert {finding.case for finding in findings if finding.severity == "warning"} == {"STS_020", "STS_050"}

"""Crops of a cohort: what they show, how they are drawn, and the pictures and the command line."""

import json
from dataclasses import replace

import matplotlib.image
import numpy as np
import pytest
from little_cohort import LittleCohort, little_case
from scipy import ndimage

from SegAnyPETLib.cli import main
from SegAnyPETLib.data.segment import Segment
from SegAnyPETLib.errors import InputError, OutputError
from SegAnyPETLib.finetune.cohort import (
    CohortCrops,
    CohortEntry,
    Finding,
    make_case,
    make_thumbnail,
    write_thumbnails,
)
from SegAnyPETLib.finetune.crops import SYNTHETIC_CASE
from SegAnyPETLib.suv import SUVVolume


def a_case(seed, *, quality="HQ", patient=None, split="train", masks=None, suv=None, shape=(34, 40, 44)):
    little = little_case(seed, shape=shape)
    entry = CohortEntry(f"c{seed}", patient or f"p{seed}", None, None, quality, split)
    segments = [Segment(f"s{n}", mask) for n, mask in enumerate(masks or [little.label])]
    return make_case(entry, SUVVolume(little.suv if suv is None else suv, little.grid), segments)


def block(*start, side=4, shape=(34, 40, 44)):
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(slice(a, a + side) for a in start)] = True
    return mask


def test_crops_are_what_the_loop_wants_and_the_same_for_equal_generators():
    crops = CohortCrops([a_case(1), a_case(2, quality="LQ")], replay_share=0.0)
    drawn = [crops.careful(np.random.default_rng(5), 6), crops.careless(np.random.default_rng(6), 6)]
    again = [crops.careful(np.random.default_rng(5), 6), crops.careless(np.random.default_rng(6), 6)]
    for group, other, number in zip(drawn, again, (0, 1), strict=True):
        for crop, same in zip(group, other, strict=True):
            assert crop.suv.shape == crop.label.shape == (48, 48, 48)
            assert (crop.suv.dtype, crop.label.dtype) == (np.float32, np.bool_)
            assert crop.case == number
            assert crop.label.sum() >= 8
            assert crop.suv.min() >= 0
            np.testing.assert_array_equal(crop.suv, same.suv)
            np.testing.assert_array_equal(crop.label, same.label)
    assert len({crop.spacing_mm for crop in drawn[0]}) == 6


def test_the_label_lies_on_the_uptake_it_was_drawn_on_and_keeps_its_volume():
    case = a_case(3)
    crops = CohortCrops([case], replay_share=0.0)
    inside = case.suv[case.label].mean()
    whole = []
    for crop in crops.careful(np.random.default_rng(1), 40):
        assert 0.6 * inside < crop.suv[crop.label].mean() < 1.4 * inside
        touches = any(crop.label.take(end, axis).any() for axis in range(3) for end in (0, -1))
        if not touches:
            whole.append(crop.label.sum() * crop.spacing_mm**3 / 1000)
    assert len(whole) > 20
    np.testing.assert_allclose(whole, case.volume_ml, rtol=0.15)


def test_without_augmentation_a_crop_is_the_image_resampled_at_the_places_of_its_voxels():
    shape = (30, 34, 38)
    k, j, i = np.meshgrid(*[np.arange(n, dtype=np.float32) for n in shape], indexing="ij")
    suv = 1 + 0.05 * k + 0.02 * j + 0.01 * i  # linear, so linear interpolation is exact
    case = a_case(1, suv=suv, masks=[block(12, 14, 16, shape=shape)], shape=shape)
    crops = CohortCrops([case], replay_share=0.0, is_augmented=False)
    along_ijk = np.array([0.01, 0.02, 0.05]) / np.asarray(case.grid.spacing_ijk_mm)
    along_zyx = (np.asarray(case.grid.direction) @ along_ijk)[::-1]  # per mm; crops lie along the world's axes
    for crop in crops.careful(np.random.default_rng(3), 8):
        middle = np.argwhere(crop.label).mean(axis=0)
        around = tuple(slice(int(n) - 2, int(n) + 3) for n in middle)
        gradient = [float(np.diff(crop.suv[around], axis=axis).mean()) for axis in range(3)]
        np.testing.assert_allclose(gradient, along_zyx * crop.spacing_mm, rtol=2e-3)
        at = tuple(np.round(middle).astype(int))
        true = 1 + 0.05 * 13.5 + 0.02 * 15.5 + 0.01 * 17.5
        assert crop.suv[at] == pytest.approx(true, abs=0.08)


def test_fine_images_are_averaged_before_they_are_sampled():
    little = little_case(1, shape=(40, 44, 48))
    grid = replace(little.grid, spacing_ijk_mm=(1.0, 1.1, 1.2))
    rng = np.random.default_rng(1)
    suv = (5 + rng.standard_normal(grid.shape_kji)).astype(np.float32)
    mask = block(10, 12, 14, side=20, shape=grid.shape_kji)
    entry = CohortEntry("fine", "p", None, None)
    case = make_case(entry, SUVVolume(np.maximum(suv, 0.1), grid), [Segment("s", mask)])
    for crop in CohortCrops([case], replay_share=0.0, is_augmented=False).careful(np.random.default_rng(2), 6):
        if crop.spacing_mm > 3.6:
            inner = ndimage.binary_erosion(crop.label)  # the image may end at the lesion
            assert crop.suv[inner].std() < 0.35  # of 27 voxels 0.19, of single ones about 0.4 after interpolation


def test_a_crop_shows_one_lesion_and_not_its_neighbour():
    near = [block(12, 14, 16), block(16, 14, 16)]  # they touch
    case = a_case(1, masks=near)
    crops = CohortCrops([case], replay_share=0.0, is_augmented=False)
    volume = 64 * 4.0 * 3.5 * 4.5 / 1000
    for crop in crops.careful(np.random.default_rng(2), 10):
        assert crop.label.sum() * crop.spacing_mm**3 / 1000 == pytest.approx(volume, rel=0.3)


def test_lesions_are_drawn_evenly_over_sizes_and_then_over_patients():
    small, large = block(5, 5, 5, side=2), block(15, 18, 20, side=8)  # 0.5 and 32 ml
    many = [block(2 + 4 * n, 30, 36, side=2) for n in range(6)]
    cases = [a_case(1, masks=[large]), a_case(2, masks=[large]), a_case(3, masks=[small]), a_case(4, masks=many)]
    crops = CohortCrops(cases, replay_share=0.0, is_augmented=False)
    drawn = [crop.case for crop in crops.careful(np.random.default_rng(1), 120)]
    counts = np.bincount(drawn, minlength=4) / 120
    np.testing.assert_allclose(counts, 0.25, atol=0.08)


def test_replay_comes_at_its_share_and_is_of_no_case():
    crops = CohortCrops([a_case(1)], replay_share=0.3, bodies=_NoBodies())
    rng = np.random.default_rng(1)
    numbers = [[crop.case for crop in crops.careful(rng, 2)] for _ in range(40)]
    shares = [sum(number == SYNTHETIC_CASE for number in each) for each in numbers]
    assert set(shares) == {0, 1}
    assert np.mean(shares) / 2 == pytest.approx(0.3, abs=0.1)


class _NoBodies:
    """A bank that is never opened, since every replayed crop is of shapes here."""

    def __len__(self):
        return 1


@pytest.fixture(autouse=True)
def _only_shapes(monkeypatch):
    monkeypatch.setattr("SegAnyPETLib.finetune.cohort.cohort_crops.BODY_SHARE", 0.0)


def test_cases_kept_for_validation_are_refused():
    with pytest.raises(InputError, match="c2 of another"):
        CohortCrops([a_case(1), a_case(2, split="validation")])


def test_cohorts_without_anything_careful_are_refused_unless_all_is_replayed():
    with pytest.raises(InputError, match="Mark some labels as HQ"):
        CohortCrops([a_case(1, quality="LQ")])
    crops = CohortCrops([a_case(1, quality="LQ")], replay_share=1.0)
    assert {crop.case for crop in crops.careful(np.random.default_rng(1), 3)} == {SYNTHETIC_CASE}
    assert crops.careless_cases == (0,)
    with pytest.raises(InputError, match="the cohort has none"):
        CohortCrops([a_case(1)]).careless(np.random.default_rng(1), 1)


def test_every_careless_case_can_be_asked_for():
    crops = CohortCrops([a_case(1), *(a_case(n, quality="LQ") for n in (2, 3, 4))])
    assert crops.careless_cases == (1, 2, 3)
    rng = np.random.default_rng(1)
    assert [crops.careless_of(rng, number).case for number in (3, 1, 2)] == [3, 1, 2]


def test_lesions_below_a_tenth_of_a_millilitre_are_no_targets():
    with pytest.raises(InputError, match="at least"):
        CohortCrops([a_case(1, masks=[block(5, 5, 5, side=1)])])


def test_pages_hold_so_many_cases_and_say_what_was_found(tmp_path):
    case = a_case(1)
    entry = CohortEntry("c1", "p1", None, None)
    thumbnails = [make_thumbnail(entry, case, [Finding("c1", "x", "warning", "something is odd", "Look.")])] * 3
    thumbnails += [make_thumbnail(entry, None, [Finding("c1", "unreadable", "error", "it is gone", "Find it.")])]
    pages = write_thumbnails(tmp_path / "pictures", thumbnails, per_page=3)
    assert [page.name for page in pages] == ["page_01.png", "page_02.png"]
    picture = matplotlib.image.imread(pages[0])[..., :3]
    blue = np.array([0x0A, 0x6E, 0xD1]) / 255
    assert (np.abs(picture - blue).max(axis=-1) < 0.1).sum() > 3 * 3 * 30  # a contour in each of the planes
    assert thumbnails[0].findings == ("warning: something is odd",)
    with pytest.raises(OutputError):
        write_thumbnails(tmp_path / "none", [])


def test_the_planes_go_through_the_lesion_in_an_oblique_image():
    case = a_case(4)
    thumbnail = make_thumbnail(CohortEntry("c", "p", None, None), case)
    for _view, pet, mask in thumbnail.panes:
        assert mask.pixels.max() > 0.5
        assert pet.pixels[mask.pixels > 0.5].mean() > 3 * np.median(pet.pixels[mask.pixels < 0.5])


@pytest.fixture
def a_site(tmp_path):
    cohort = LittleCohort(tmp_path / "site")
    for seed in range(1, 7):
        cohort.add(seed)
    cohort.manifest()
    return cohort


def test_the_command_line_proposes_and_checks(a_site, tmp_path, capsys):
    table = tmp_path / "m.csv"
    assert main(["cohort", "propose", str(a_site.folder), "--out", str(table), "--quiet"]) == 0
    said = capsys.readouterr().out
    assert "6 cases of 6 patients" in said
    assert main(["cohort", "check", str(table), "--thumbnails", str(tmp_path / "pages"), "--quiet"]) == 0
    assert "nothing was found that speaks against them" in capsys.readouterr().out
    assert (tmp_path / "pages" / "page_01.png").is_file()
    assert main(["cohort", "propose", str(a_site.folder), "--out", str(table), "--quiet"]) == 6  # never replaced


def test_errors_among_the_findings_give_the_exit_code_of_bad_input(a_site, tmp_path, capsys):
    table = tmp_path / "m.csv"
    (a_site.folder / "case_002" / "gtv.nii.gz").write_bytes(b"no mask")
    assert main(["cohort", "propose", str(a_site.folder), "--out", str(table), "--quiet"]) == 0
    capsys.readouterr()
    assert main(["cohort", "check", str(table), "--json", "--quiet"]) == 3
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert document["schema"] == "seganypet-cohort-check/1"
    assert [(one["case"], one["kind"]) for one in document["findings"]] == [("case_002", "unreadable")]
    assert "1 errors" in captured.err
    assert main(["cohort", "check", str(tmp_path / "absent.csv"), "--quiet"]) == 3

"""Two models on the same cases: paired figures over patients, the decision by its rule, and the card of both."""

import json
from types import SimpleNamespace

import matplotlib.image
import numpy as np
import pytest
import torch

from SegAnyPETLib.errors import InputError
from SegAnyPETLib.evaluation import Case
from SegAnyPETLib.finetune.card import CohortFacts, TrainingCard, thinned, write_card
from SegAnyPETLib.finetune.cohort_level import CohortLevel
from SegAnyPETLib.finetune.cohort_offset import CohortOffset
from SegAnyPETLib.finetune.comparing import (
    Comparison,
    JudgedCase,
    JudgedPair,
    compare_models,
    cut_around,
    lesion_cases,
    mean_over_patients,
)
from SegAnyPETLib.finetune.config import FineTuneConfig
from SegAnyPETLib.finetune.crops import LabelledCrop
from SegAnyPETLib.finetune.deciding import decide
from SegAnyPETLib.finetune.reviewing import LabelReview, review_labels
from SegAnyPETLib.finetune.run_progress import ProgressFile, ProgressLine, read_wish, wait_while_paused, write_wish
from SegAnyPETLib.geometry import VoxelBox
from SegAnyPETLib.phantom import centred_grid, nema_phantom
from SegAnyPETLib.suv import SUVVolume


def pair(patient, before, after, *, group="lesions", case=None):
    return JudgedPair(case or patient, patient, group, tuple(before), tuple(after))


def comparison(gains, *, group="lesions"):
    """One patient per gain, the same after one and after three clicks."""
    pairs = [pair(f"p{n}", (0.6, 0.7), (0.6 + gain, 0.7 + gain), group=group) for n, gain in enumerate(gains)]
    return Comparison((1, 3), tuple(pairs))


def test_lesions_of_one_patient_count_as_one():
    found = Comparison(
        (1, 3),
        (
            pair("a", (0.2, 0.4), (0.4, 0.6), case="a/1"),
            pair("a", (0.4, 0.6), (0.4, 0.6), case="a/2"),
            pair("b", (0.8, 0.8), (0.7, 0.9)),
        ),
    )
    after_one = found.after_click(1)
    assert after_one.before.mean == pytest.approx((0.3 + 0.8) / 2)
    assert after_one.gain.mean == pytest.approx((0.1 - 0.1) / 2)
    assert found.overall().gain.mean == pytest.approx((0.1 + 0.0) / 2)
    assert (found.patients, after_one.gain.count) == (2, 2)


def test_the_gain_is_paired_so_its_interval_is_narrow_where_patients_differ_much():
    rng = np.random.default_rng(3)
    before = rng.uniform(0.2, 0.9, 20)
    pairs = tuple(pair(f"p{n}", (dice,), (dice + 0.05,)) for n, dice in enumerate(before))
    row = Comparison((1,), pairs).overall()
    assert row.gain.mean_interval == pytest.approx((0.05, 0.05))
    assert np.diff(row.before.mean_interval)[0] > 0.1


def test_no_case_is_an_error():
    with pytest.raises(InputError, match="at least one case"):
        Comparison((1,), ())


@pytest.mark.parametrize(
    ("gains", "lost", "becomes_default", "word"),
    [
        ([0.05] * 8, 0.0, True, "Becomes the default"),
        ([0.05] * 8, 0.019, True, "lost 0.019"),
        ([0.05] * 8, 0.021, False, "too much"),
        ([0.05] * 5, 0.0, False, "too few"),
        ([0.2, -0.2, 0.1, -0.1, 0.3, -0.25, 0.02, 0.0], 0.0, False, "not clearly better"),
        ([-0.05] * 8, 0.0, False, "worse"),
    ],
)
def test_the_default_changes_only_for_a_clear_gain_that_forgets_little(gains, lost, becomes_default, word):
    decision = decide(comparison(gains), comparison([-lost] * 4, group="synthetic"))
    assert decision.becomes_default is becomes_default
    assert word in decision.reason
    assert str(len(gains)) in decision.caution


def test_without_validation_cases_it_stays_a_candidate():
    decision = decide(None, comparison([0.1] * 4))
    assert not decision.becomes_default
    assert "no validation cases" in decision.reason


class Balls:
    """Answers with a ball of its own radius around each positive click; the scale of the voxels is 4 mm."""

    def __init__(self, radius_mm):
        self.radius = radius_mm / 4.0
        shape = (32, 32, 32)
        preprocessing = SimpleNamespace(
            roi_shape=shape,
            spacings_mm=(4.0,),
            tensor_axes="kji_lps",
            normalization="log_suv",
            mask_prompt_first="none",
            points="accumulate",
            mask_stride=1,
            mask_shape=shape,
            first_looks=1,
        )
        self.spec = SimpleNamespace(name="balls", preprocessing=preprocessing)

    def encode(self, volume):
        return volume

    def decode(self, embedding, *, points=None, mask_logits=None):
        axes = torch.meshgrid(*[torch.arange(32.0)] * 3, indexing="ij")
        logits = torch.full((32, 32, 32), -6.0)
        for place, label in zip(points[0][0], points[1][0], strict=True):
            away = torch.sqrt(sum((axis - at) ** 2 for axis, at in zip(axes, place, strict=True)))
            ball = self.radius - away
            logits = torch.maximum(logits, ball) if label == 1 else torch.minimum(logits, -ball)
        return logits[None, None], torch.ones(1, 1)


@pytest.fixture(scope="module")
def a_sphere():
    """28 mm in an oblique image of unequal spacing."""
    grid = centred_grid((34, 30, 40), (3.5, 4.5, 3.0), centre_lps_mm=(-90.0, -40.0, -300.0), orientation="oblique")
    phantom = nema_phantom(grid=grid, diameters_mm=(28.0,), centres_lps_mm=((-95.0, -36.0, -304.0),))
    return Case("sphere", SUVVolume(phantom.activity_suv, grid), phantom.objects[0].mask)


def test_the_model_with_the_right_size_is_ahead_after_the_first_click(a_sphere):
    done = []
    judged = [JudgedCase(a_sphere, "p")]
    found = compare_models(Balls(7.0), Balls(14.0), judged, clicks=(1,), on_case=done.append)
    row = found.after_click(1)
    # A ball of half the radius has an eighth of the volume: Dice 2 / 8 / (1 + 1 / 8).
    assert row.before.mean == pytest.approx(2 / 9, abs=0.08)
    assert row.after.mean > 0.8  # the sphere is not centred on the voxels
    assert row.gain.mean == pytest.approx(row.after.mean - row.before.mean)
    assert done == [1, 2]


def test_the_image_around_a_lesion_is_enough_and_lies_where_it_lay(a_sphere):
    cut = cut_around(a_sphere, kept_mm=20.0)
    assert cut.image.array.size < a_sphere.image.array.size
    where = np.argwhere(a_sphere.reference).mean(axis=0), np.argwhere(cut.reference).mean(axis=0)
    before, after = a_sphere.image.grid.kji_to_lps(where[0]), cut.image.grid.kji_to_lps(where[1])
    np.testing.assert_allclose(before, after, atol=1e-6)
    np.testing.assert_array_equal(cut.image.array[cut.reference], a_sphere.image.array[a_sphere.reference])


def test_each_lesion_of_a_case_is_judged_by_itself(a_sphere):
    box = VoxelBox.of_mask(a_sphere.reference)
    lesion = SimpleNamespace(box=box, mask=a_sphere.reference[box.slices])
    opened = SimpleNamespace(
        name="c", patient="p", lesions=(lesion,) * 5, grid=a_sphere.image.grid, image=a_sphere.image
    )
    judged = lesion_cases([opened], most_lesions=2)
    assert [one.case.name for one in judged] == ["c/1", "c/2"]
    assert judged[0].case.reference.sum() == a_sphere.reference.sum()
    assert mean_over_patients(judged, [(0.5, 0.7), (0.9, 0.9)]) == pytest.approx(0.75)


def a_card(*, site, labels):
    history = [{"step": n + 1, "loss": 1 / (n + 1), "offset_mm": 0.1 * n, "belief": 0.01 * n} for n in range(40)]
    bundled = Comparison((1, 3), (*comparison([-0.01] * 3, group="phantom lesions").pairs,))
    return TrainingCard(
        name="lite-cpcl-abc",
        base="lite",
        base_sha256="ab" * 32,
        cohort=CohortFacts("cd" * 32, 4, 5, 9, 8, 8),
        config={"method": "cpcl", "parts": "decoder"},
        why="Nine cases.",
        versions={"seganypet": "0"},
        machine={"cores": 2},
        made_at="2026-05-01T10:00:00+00:00",
        seconds=90.0,
        steps=40,
        ended="All 40 steps were done.",
        history=[*history, {"step": 41, "loss": float("nan")}],
        validations=[(20, 0.7), (40, 0.72)],
        labels=labels,
        site=site,
        bundled=bundled,
        decision=decide(site, bundled),
    )


REVIEW = LabelReview(offset_mm=2.44, belief=0.5, looked_at=5, please_review=("MUSTERMANN_7",))


def test_a_card_is_written_for_people_and_machines_with_a_picture(tmp_path):
    json_path, markdown, figure = write_card(tmp_path, a_card(site=comparison([0.05] * 8), labels=REVIEW))
    written = json.loads(json_path.read_text())
    assert written["decision"]["becomes_default"] is True
    assert written["site"]["after_click"]["3"]["gain"]["mean"] == pytest.approx(0.05)
    assert written["history"][-1]["loss"] is None  # JSON has no NaN
    words = markdown.read_text()
    for piece in ("| 1 click | 0.600 | 0.650 | +0.050 [+0.050, +0.050] |", "2.4 mm too large", "MUSTERMANN_7"):
        assert piece in words
    pixels = matplotlib.image.imread(figure)
    assert min(pixels.shape[:2]) > 500
    assert pixels[..., :3].std() > 0.05


def test_what_leaves_the_site_names_no_case():
    card = a_card(site=comparison([0.05] * 8), labels=REVIEW)
    text = json.dumps(card.to_dict(for_others=True))
    assert "MUSTERMANN" not in text
    assert '"p1"' not in json.dumps(card.to_dict(for_others=True)["site"])
    assert card.to_dict(for_others=True)["labels"]["please_review"] == 1


def test_a_card_without_validation_cases_and_careless_labels_can_be_drawn(tmp_path):
    _, markdown, _ = write_card(tmp_path, a_card(site=None, labels=None))
    assert "There are none" in markdown.read_text()


def test_a_long_curve_is_thinned_and_keeps_its_end():
    found = thinned([{"step": float(n)} for n in range(1201)])
    assert len(found) <= 400
    assert found[-1]["step"] == 1200


class Cohort:
    """Careless labels 2 voxels too large, one of them beside the object; the network knows the truth."""

    def _crop(self, rng, case, extra, moved):
        k, j, i = np.ogrid[:16, :18, :20]
        away = np.sqrt((k - 8) ** 2 + (j - 8) ** 2 + (i - 9) ** 2)
        label = np.roll(away <= 4 + extra, 7 if moved else 0, axis=2)
        return LabelledCrop(np.where(away <= 4, 8.0, 1.0).astype(np.float32), label, 4.0, case)

    def careful(self, rng, count):
        return [self._crop(rng, int(case), 0, moved=False) for case in rng.integers(5, 8, count)]

    careless_cases = (1, 2, 3, 4)

    def careless(self, rng, count):
        return [self.careless_of(rng, int(case)) for case in rng.integers(1, 5, count)]

    def careless_of(self, rng, number):
        return self._crop(rng, number, 0 if number == 4 else 2, moved=number == 4)


class KnowsTheTruth:
    def encode(self, volume):
        return volume

    def decode(self, embedding, *, points, mask_logits):
        return (embedding > 1.5).float() * 20 - 10, None


def test_the_review_finds_the_offset_and_the_case_that_a_person_should_see():
    names = ["", "a", "b", "c", "beside", "good", "better", "best"]
    config = FineTuneConfig(method="cpcl")
    reviewed = {"names": names, "config": config, "device": torch.device("cpu")}
    fresh = {"cohort": CohortOffset(config.cpcl), "level": CohortLevel(config.cpcl)}
    found = review_labels(KnowsTheTruth(), Cohort(), **fresh, **reviewed)
    assert found.please_review == ("beside",)
    assert found.offset_mm == pytest.approx(8, abs=1.2)  # of a voxel of 4 mm .3; the one elsewhere has no offset
    assert found.looked_at == 4
    assert found.belief > 0.7  # nothing is learned from the fourth
    assert found.level is None


class HotCores(Cohort):
    """Careless labels of the hottest part alone."""

    def _crop(self, rng, case, extra, moved):
        k, j, i = np.ogrid[:16, :18, :20]
        away = np.sqrt((k - 8) ** 2 + (j - 8) ** 2 + (i - 9) ** 2)
        suv = np.where(away <= 5, 10 - 1.4 * away, 1.0).astype(np.float32)  # 3 at the border
        return LabelledCrop(suv, away <= (5 if case > 4 else 2.5), 4.0, case)


def test_the_review_tells_of_thresholds_that_are_too_high(tmp_path):
    config = FineTuneConfig(method="cpcl")
    fresh = {"cohort": CohortOffset(config.cpcl), "level": CohortLevel(config.cpcl)}
    names = [str(n) for n in range(8)]
    found = review_labels(KnowsTheTruth(), HotCores(), names=names, config=config, device=torch.device("cpu"), **fresh)
    assert found.level == pytest.approx(0.3, abs=0.04)
    assert found.please_review == ()
    _, markdown, _ = write_card(tmp_path, a_card(site=None, labels=found))
    assert f"drawn down to {100 * found.level:.0f} % of its hottest voxel" in markdown.read_text()


def test_the_review_goes_on_from_what_training_has_found():
    config = FineTuneConfig(method="cpcl")
    known = CohortOffset(config.cpcl)
    for case in (1, 2, 3, 5, 6, 7) * 5:
        known.add(case, is_careful=case > 4, offset_mm=0.0 if case > 4 else -6.0, disagreement=0.0)
    reviewed = {"names": [str(n) for n in range(8)], "config": config, "device": torch.device("cpu")}
    found = review_labels(KnowsTheTruth(), Cohort(), cohort=known, level=CohortLevel(config.cpcl), **reviewed)
    assert found.offset_mm == pytest.approx((5 * -6 + 3 * 8) / 8, abs=1.0)  # five looks in training, three at 8 mm now


def test_progress_is_one_object_per_line_and_wishes_are_read_between_steps(tmp_path, monkeypatch):
    heard = []
    progress = ProgressFile(tmp_path, heard.append)
    progress.write(ProgressLine("training", 3, 10, loss=float("nan"), message='a "word"\nand more'))
    progress.write(ProgressLine("done", 10, 10))
    lines = [json.loads(line) for line in (tmp_path / "progress.jsonl").read_text().splitlines()]
    assert [line["phase"] for line in lines] == ["training", "done"]
    assert lines[0]["loss"] is None
    assert len(heard) == 2
    assert read_wish(tmp_path) == "run"
    (tmp_path / "wish").write_text("nonsense")
    assert read_wish(tmp_path) == "run"
    write_wish(tmp_path, "pause")
    paused = []
    monkeypatch.setattr("time.sleep", lambda _: write_wish(tmp_path, "stop"))
    assert wait_while_paused(tmp_path, on_pause=lambda: paused.append(True))
    assert paused == [True]

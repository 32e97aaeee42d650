"""The picture of `seganypet evaluate`: which cases it shows, of which repeat, and that it is written."""

import dataclasses

import matplotlib.image
import numpy as np
import pytest

from SegAnyPETLib.cli import main
from SegAnyPETLib.cli.evaluation_gallery import MaskKeeper, choose_best_median_worst
from SegAnyPETLib.evaluation import (
    Agreement,
    Case,
    CaseResult,
    ClickResult,
    EvaluationProtocol,
    EvaluationResult,
)
from SegAnyPETLib.geometry import Grid, VoxelBox
from SegAnyPETLib.suv import SUVVolume


def made_up(dice_by_case, *, repeat=0):
    """Results whose Dice after the first click is given; after the second it is turned round."""
    nothing = dict.fromkeys(field.name for field in dataclasses.fields(Agreement))
    made = []
    for name, dice in dice_by_case.items():
        clicks = [
            ClickResult(
                number, (0, 0, 0), (0.0, 0.0, 0.0), True, Agreement(**{**nothing, "dice": value}), True, None, 0.1
            )
            for number, value in ((1, dice), (2, 1 - dice))
        ]
        made.append(CaseResult(name, tuple(clicks), {}, VoxelBox((0, 0, 0), (1, 1, 1)), repeat=repeat))
    return made


def chosen(results):
    result = EvaluationResult(EvaluationProtocol(clicks=2), tuple(results))
    return {place: case.case for place, case in choose_best_median_worst(result).items()}


@pytest.mark.parametrize(
    ("dice", "expected"),
    [
        ({"A": 0.5, "B": 0.9, "C": 0.1, "D": 0.6, "E": 0.2}, {"best": "B", "median": "A", "worst": "C"}),
        ({"A": 0.5, "B": 0.9, "C": 0.1, "D": 0.6}, {"best": "B", "median": "A", "worst": "C"}),
        ({"C": 0.4, "B": 0.4, "A": 0.4}, {"best": "A", "median": "B", "worst": "C"}),
        ({"A": 0.3, "B": 0.8}, {"best": "B", "worst": "A"}),
        ({"A": 0.3}, {"best": "A"}),
    ],
)
def test_cases_are_ranked_by_dice_after_the_first_click(dice, expected):
    assert chosen(made_up(dice)) == expected


def test_later_repeats_choose_nothing():
    results = [*made_up({"A": 0.5, "B": 0.6, "C": 0.7}), *made_up({"A": 0.99, "B": 0.98, "C": 0.01}, repeat=1)]
    assert chosen(results) == {"best": "C", "median": "B", "worst": "A"}


def a_case():
    grid = Grid((5, 6, 9), (2.0, 3.0, 4.0), (-7.0, 11.0, 500.0))
    reference = np.zeros(grid.shape_kji, dtype=bool)
    reference[2, 3, 4] = True
    return Case("A", SUVVolume(np.ones(grid.shape_kji, dtype=np.float32), grid), reference)


def test_the_keeper_puts_masks_back_into_the_whole_image_and_keeps_the_first_repeat():
    keeper, kept = MaskKeeper(), VoxelBox((1, 2, 3), (5, 6, 9))
    part = np.zeros(kept.shape_kji, dtype=bool)
    part[0, 1, 2] = True
    keeper(a_case(), kept, 1, part)
    keeper(a_case(), kept, 1, ~part)
    keeper(a_case(), kept, 6, part)
    assert np.argwhere(keeper.mask_after("A", 1)).tolist() == [[1, 3, 5]]
    with pytest.raises(KeyError):
        keeper.mask_after("A", 6)


@pytest.mark.usefixtures("typed_ball_model")
@pytest.mark.parametrize(
    ("words", "rows", "columns"),
    [
        (["--clicks", "2", "--cut-faces", "20", "--save-masks", "{tmp}/masks"], 3, 2),
        (["--clicks", "1", "--cases", "*_00[17]"], 2, 1),
    ],
)
def test_the_picture_has_a_row_per_case_and_a_column_per_shown_click(cases, tmp_path, words, rows, columns):
    path = tmp_path / "a.png"
    words = ["--picture", str(path), *(word.format(tmp=tmp_path) for word in words)]
    assert main(["evaluate", "--data", str(cases), "--model", "ball", "--quiet", *words]) == 0
    height, width = matplotlib.image.imread(path).shape[:2]
    # at 130 dots per inch: a cell is two planes of 2.3 inches side by side, under two lines of text
    assert width / 130 == pytest.approx(4.7 * columns, abs=0.7)
    assert height / 130 == pytest.approx(3.0 * rows + 1.0, abs=0.7)
    if "--save-masks" in words:
        assert (tmp_path / "masks" / "CASE_007" / "click_02.nii.gz").is_file()

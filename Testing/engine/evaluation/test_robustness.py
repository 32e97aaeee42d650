"""The change against the standard run is paired by case."""

import json

import pytest
from scripted_method import GRID, AnImage, Painter, a_box

from SegAnyPETLib.errors import InputError
from SegAnyPETLib.evaluation import (
    Case,
    EvaluationProtocol,
    EvaluationResult,
    RobustnessResult,
    Shift,
    evaluate_case,
    robustness_protocols,
)

REFERENCE = a_box((4, 17), (8, 15), (10, 19))
HALF = a_box((4, 17), (8, 15), (10, 16))  # Dice 0.8
LESS = a_box((4, 17), (8, 15), (10, 13))  # Dice 0.5


def a_result(protocol, masks):
    image = AnImage(REFERENCE.astype("float32"), GRID)
    return EvaluationResult(
        protocol,
        tuple(
            evaluate_case(Painter([mask]), Case(name, image, REFERENCE), protocol=protocol)
            for name, mask in masks.items()
        ),
    )


def test_change_is_paired_over_the_cases_both_runs_have():
    protocol = EvaluationProtocol(clicks=1)
    result = RobustnessResult(
        {
            "standard": a_result(protocol, {"A": REFERENCE, "B": HALF, "C": HALF}),
            "worse": a_result(protocol, {"A": HALF, "B": LESS}),
        }
    )
    change = result.change("worse", 1)
    assert change.count == 2
    assert change.mean == pytest.approx((-0.2 - 0.3) / 2)
    assert -0.3 - 1e-9 <= change.mean_interval[0] <= change.mean_interval[1] <= -0.2 + 1e-9
    document = json.loads(json.dumps(result.to_json_object(about={}), allow_nan=False))
    assert set(document["after_click"]) == {"1"}
    assert document["after_click"]["1"]["worse"]["change"]["mean"] == pytest.approx(-0.25)
    assert document["after_click"]["1"]["standard"]["change"] is None


def test_variations_hold_every_first_click_and_both_sides_of_voxel_and_scale():
    protocols = robustness_protocols(EvaluationProtocol(clicks=5, cut_faces_mm=45.0, seed=2), repeats=3)
    assert next(iter(protocols)) == "standard"
    assert {p.first_click for p in protocols.values()} == {"deepest", "random", "hottest", "jittered", "outside"}
    shifts = {str(p.shift) for p in protocols.values() if p.shift}
    assert shifts == {"blur:5", "noise:0.15", "voxel:2", "voxel:6", "suv:0.8", "suv:1.25"}
    assert {(p.clicks, p.cut_faces_mm, p.seed) for p in protocols.values()} == {(5, 45.0, 2)}
    assert protocols["first click random"].repeats == 3


def test_only_a_standard_run_can_be_varied():
    with pytest.raises(InputError, match="standard run"):
        robustness_protocols(EvaluationProtocol(shift=Shift("blur", 5.0)))
    with pytest.raises(InputError, match="standard"):
        RobustnessResult({})

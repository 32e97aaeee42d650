"""The JSON of an evaluation holds what its description promises."""

import json
import re

import numpy as np
import pytest
from scripted_method import GRID, AnImage, Painter, a_box

from SegAnyPETLib.evaluation import Case, EvaluationProtocol, EvaluationResult, evaluate_case, results


@pytest.fixture(scope="module")
def a_document():
    protocol = EvaluationProtocol(clicks=3)
    cases = []
    for number, columns in enumerate((12, 16, 18)):
        reference = a_box((4, 17), (8, 15), (10, 19))
        image = AnImage(np.where(reference, 6.0, 0.8).astype(np.float32), GRID)
        painter = Painter([a_box((4, 17), (8, 15), (10, columns)), np.zeros(GRID.shape_kji, bool), reference])
        cases.append(evaluate_case(painter, Case(f"CASE_{number}", image, reference), protocol=protocol))
    document = EvaluationResult(protocol, tuple(cases)).to_json_object(about={"model": "painter"})
    return json.loads(json.dumps(document, allow_nan=False))


def test_every_described_key_is_there(a_document):
    description = (results.__doc__ or "").split("(`to_json_object`)")[1]
    described = set(re.findall(r"^ {2,8}([a-z][a-z0-9_]+(?:, [a-z0-9_]+)*) {2}", description, re.MULTILINE))
    names = {name for group in described for name in group.split(", ")}
    assert names >= {"schema", "protocol", "cases", "clicks", "after_click", "share_of_clicks_obeyed"}

    def keys(node):
        if isinstance(node, dict):
            return set(node) | {key for value in node.values() for key in keys(value)}
        return {key for value in node for key in keys(value)} if isinstance(node, list) else set()

    assert names - keys(a_document) == set()


def test_summary_counts_every_case(a_document):
    summary = a_document["summary"]
    assert summary["cases"] == 3
    assert set(summary["after_click"]) == {"1", "2", "3"}
    assert summary["after_click"]["1"]["dice"]["mean"] == pytest.approx(np.mean([4 / 11, 12 / 15, 16 / 17]))
    assert summary["after_click"]["3"]["dice"]["median"] == 1.0
    assert summary["after_click"]["2"]["seconds"]["mean"] >= 0.0


def test_an_empty_mask_counts_in_every_figure_that_exists_for_it(a_document):
    after_second = a_document["summary"]["after_click"]["2"]
    assert after_second["dice"]["count"] == 3
    assert after_second["hd95_mm"]["count"] == 3
    assert after_second["suv_mean_ratio"] is None  # no mean uptake of nothing, in no case


def test_baselines_stand_beside_the_result(a_document):
    assert set(a_document["summary"]["baselines"]) == {
        "threshold_41_percent",
        "threshold_41_percent_filled",
        "sphere_40_mm",
        "image_extent_ellipsoid",
    }
    assert a_document["summary"]["baselines"]["threshold_41_percent"]["dice"]["mean"] == 1.0

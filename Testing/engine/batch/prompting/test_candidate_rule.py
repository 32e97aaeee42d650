import pytest

from SegAnyPETLib.batch.prompting import CandidateRule, parse_candidate_rule
from SegAnyPETLib.errors import InputError


@pytest.mark.parametrize(
    "text",
    [
        "suv:4.0",
        "percent:41",
        "percent:41:2.5",
        "percist",
        "percist:liver=-62.5,10,-35",
        "percist:bloodpool",
        "percist:bloodpool=16,36,20.25",
    ],
)
def test_a_rule_written_out_is_the_text_it_was_read_from(text):
    assert str(parse_candidate_rule(text)) == text


def test_a_rule_holds_the_numbers_of_its_text():
    assert parse_candidate_rule(" SUV:2.75 ") == CandidateRule("suv", suv=2.75)
    rule = parse_candidate_rule("percent:50")
    assert (rule.percent, rule.lowest_suv) == (50.0, 2.5)
    assert parse_candidate_rule("percent:50:3.5").lowest_suv == 3.5
    given = parse_candidate_rule("percist:bloodpool=1,-2,3.5")
    assert (given.reference, given.place_lps_mm) == ("bloodpool", (1.0, -2.0, 3.5))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "suv",
        "suv:",
        "suv:four",
        "suv:0",
        "suv:-1",
        "suv:nan",
        "suv:inf",
        "suv:4:5",
        "percent:0",
        "percent:100",
        "percent:41:0",
        "percent:41:2.5:1",
        "percist:spleen",
        "percist:liver=1,2",
        "percist:liver=1,2,nan",
        "percist:liver=",
        "41%",
        "x" * 5000,
    ],
)
def test_a_misspelt_rule_is_refused_with_the_rules_there_are(text):
    with pytest.raises(InputError, match=r"percist:liver=x,y,z") as refused:
        parse_candidate_rule(text)
    assert len(str(refused.value)) < 600

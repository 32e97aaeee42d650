"""Which request comes next, without any process."""

from __future__ import annotations

from SegAnyPETLib.session import Point
from SegAnyPETLib.worker.schedule import Schedule, Work


def predict(number, lesion):
    return Work(number, "predict", lesion)


def given_all(schedule):
    """Numbers in the order in which an obedient child gets them."""
    numbers = []
    while (work := schedule.next_to_give()) is not None:
        numbers.append(work.number)
        schedule.answered(work.number)
    return numbers


def test_predictions_go_before_uncertainties_and_those_before_what_is_prepared():
    schedule = Schedule()
    for work in (Work(2, "uncertainty", "a"), predict(3, "b"), Work(5, "prepare"), predict(4, "a")):
        schedule.ask(work)
    schedule.ask(Work(6, "prepare"))
    assert given_all(schedule) == [3, 4, 2, 6]
    assert not schedule.is_busy


def test_the_child_gets_one_at_a_time():
    schedule = Schedule()
    schedule.ask(predict(1, "a"))
    schedule.ask(predict(2, "b"))
    assert schedule.next_to_give().number == 1
    assert schedule.next_to_give() is None
    assert schedule.answered(1).number == 1
    assert schedule.next_to_give().number == 2


def test_a_newer_prediction_cancels_the_one_given_and_follows_at_once():
    schedule = Schedule()
    schedule.ask(predict(1, "a"))
    schedule.next_to_give()
    schedule.ask(predict(2, "a"))
    assert [work.number for work in schedule.take_cancelled()] == [1]
    assert schedule.take_cancelled() == []
    assert schedule.next_to_give().number == 2
    assert schedule.answered(1) is None
    assert schedule.answered(2).number == 2


def test_many_clicks_on_one_lesion_do_not_delay_another():
    schedule = Schedule()
    schedule.ask(predict(1, "a"))
    schedule.ask(predict(2, "b"))
    schedule.ask(predict(3, "a"))
    assert given_all(schedule) == [3, 2]


def test_a_prediction_ends_what_is_prepared_or_waits_to_be():
    schedule = Schedule()
    schedule.ask(Work(1, "prepare"))
    schedule.next_to_give()
    schedule.ask(Work(2, "prepare"))
    schedule.ask(predict(3, "a"))
    assert [work.number for work in schedule.take_cancelled()] == [1]
    assert given_all(schedule) == [3]
    assert schedule.answered(1) is None


def test_a_click_where_it_is_prepared_waits_for_that_instead_of_ending_it():
    schedule = Schedule()
    schedule.ask(Work(1, "prepare", lps_mm=(1.0, 2.0, 3.0)))
    schedule.next_to_give()
    schedule.ask(Work(2, "predict", "a", prompts=(Point((1.0, 2.0, 3.0)),)))
    assert schedule.take_cancelled() == []
    assert schedule.next_to_give().number == 2
    schedule.ask(Work(3, "predict", "a", prompts=(Point((1.0, 2.0, 3.5)),)))
    assert {work.number for work in schedule.take_cancelled()} == {1, 2}
    assert schedule.next_to_give().number == 3


def test_an_uncertainty_does_not_end_the_prediction_it_is_about():
    schedule = Schedule()
    schedule.ask(predict(1, "a"))
    schedule.next_to_give()
    schedule.ask(Work(2, "uncertainty", "a"))
    assert schedule.take_cancelled() == []
    assert schedule.answered(1).number == 1
    assert given_all(schedule) == [2]


def test_dropping_a_lesion_leaves_the_others():
    schedule = Schedule()
    for work in (predict(1, "a"), predict(2, "b"), Work(3, "uncertainty", "a")):
        schedule.ask(work)
    schedule.next_to_give()
    assert {work.number for work in schedule.drop("a")} == {1, 3}
    assert [work.number for work in schedule.take_cancelled()] == [1]
    assert given_all(schedule) == [2]
    assert schedule.drop() == []


def test_what_a_dead_child_did_not_answer_comes_first_again():
    schedule = Schedule()
    schedule.ask(predict(1, "a"))
    schedule.next_to_give()
    schedule.ask(predict(2, "a"))
    schedule.next_to_give()
    schedule.ask(predict(3, "b"))
    schedule.child_is_gone()
    assert schedule.answered(1) is None
    assert given_all(schedule) == [2, 3]


def test_what_was_prepared_is_not_asked_of_the_next_child():
    schedule = Schedule()
    schedule.ask(Work(1, "prepare"))
    schedule.next_to_give()
    schedule.child_is_gone()
    assert not schedule.is_busy

"""The bundled cases that show what a fine-tuned model forgot: always the same, each of a size that can be judged."""

import numpy as np
import pytest

from SegAnyPETLib.finetune import forgetting


def test_the_synthetic_scenes_are_the_same_every_time_and_large_enough():
    first, again = (forgetting._simple_scene(forgetting.SCENE_SEEDS[0]) for _ in range(2))
    np.testing.assert_array_equal(first.suv, again.suv)
    sizes = [int(forgetting._simple_scene(seed).target.sum()) for seed in forgetting.SCENE_SEEDS]
    assert min(sizes) > 100
    assert len(set(sizes)) == len(sizes)


@pytest.mark.slow
def test_there_are_as_many_as_is_said_with_names_of_their_own():
    cases = forgetting.bundled_cases()
    assert len(cases) == forgetting.BUNDLED_COUNT
    assert len({one.case.name for one in cases}) == len({one.patient for one in cases}) == len(cases)
    assert {one.group for one in cases} == {"phantom lesions", "phantom organs", "synthetic"}
    assert all(one.case.reference.any() and not one.case.reference.all() for one in cases)

"""A run's sign of life, seen by whoever did not start it."""

from __future__ import annotations

import os
import time

from SegAnyPETLib.finetune.heartbeat import ALIVE_NAME, beating, is_beating


def test_a_run_shows_that_it_lives_and_leaves_nothing_behind(tmp_path):
    assert not is_beating(tmp_path)
    with beating(tmp_path, every_s=0.01):
        end = time.monotonic() + 10
        while not is_beating(tmp_path):
            assert time.monotonic() < end
            time.sleep(0.005)
    assert not is_beating(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_was_killed_is_silent_after_a_while(tmp_path):
    sign = tmp_path / ALIVE_NAME
    sign.touch()
    os.utime(sign, (time.time() - 60, time.time() - 60))
    assert not is_beating(tmp_path)

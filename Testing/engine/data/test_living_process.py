"""Whether a process is there still."""

import os
import subprocess
import sys
import time

import pytest

from SegAnyPETLib.data.living_process import may_be_alive


def test_this_process_and_the_first_of_the_machine_live():
    assert may_be_alive(os.getpid())
    assert may_be_alive(1)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_process_that_has_ended_is_dead_before_and_after_it_is_collected():
    child = subprocess.Popen([sys.executable, "-S", "-c", "pass"])
    end = time.monotonic() + 20
    while may_be_alive(child.pid):
        assert time.monotonic() < end
        time.sleep(0.01)
    child.wait()
    assert not may_be_alive(child.pid)


@pytest.mark.skipif(os.name != "posix", reason="nobody can tell there")
@pytest.mark.parametrize("number", [0, -1, 10**30])
def test_what_is_no_number_of_a_process_is_dead(number):
    assert not may_be_alive(number)

import pytest

from SegAnyPETLib.phantom import Noise, body_phantom
from SegAnyPETLib.suv import SUVVolume


@pytest.fixture(scope="session")
def a_body():
    """The body of the demo, with its noise."""
    return body_phantom(noise=Noise(7))


@pytest.fixture(scope="session")
def a_body_image(a_body):
    return SUVVolume(a_body.activity_suv, a_body.grid)

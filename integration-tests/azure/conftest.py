import pytest

from arm_sandbox import Sandbox


@pytest.fixture
def sandbox():
    running = Sandbox()
    yield running
    running.close()

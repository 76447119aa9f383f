import pytest

import botocore_check
from aws_sandbox import Sandbox


@pytest.fixture
def sandbox():
    """A running sandbox. What was said to it is held to the published models when the test ends."""
    running = Sandbox()
    yield running
    report = botocore_check.check(running.record)
    running.close()
    assert not report.failures, "\n".join(report.failures)


@pytest.fixture
def sandbox_with_lag():
    """Slower time and a lag that a test can see."""
    running = Sandbox(speed=1, lag=2000)
    yield running
    running.close()


@pytest.fixture
def sandbox_with_rates():
    """The documented request rates, in real time."""
    running = Sandbox(speed=1, rates=True)
    yield running
    running.close()

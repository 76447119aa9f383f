import pathlib

import pytest

import botocore_check
import extract_model
from aws_sandbox import Sandbox

HERE = pathlib.Path(__file__).parent
SPOKEN = botocore_check.Report()


@pytest.fixture
def sandbox():
    """A running sandbox. What was said to it is held to the published models when the test ends."""
    running = Sandbox()
    yield running
    report = botocore_check.check([running.record])
    running.close()
    for action, calls in report.actions.items():
        SPOKEN.actions[action] = SPOKEN.actions.get(action, 0) + calls
    SPOKEN.exchanges += report.exchanges
    assert not report.failures, "\n".join(report.failures)


def pytest_sessionfinish(session, exitstatus):
    """A whole run has to have said every action that the sandbox knows, or something is not proved."""
    ran = {item.path for item in session.items}
    if exitstatus != 0 or session.config.option.keyword or not set(HERE.glob("test_*.py")) <= ran:
        return
    known = {action for actions in extract_model.ACTIONS.values() for action in actions.split()}
    print(f"\n{SPOKEN.exchanges} exchanges of {len(SPOKEN.actions)} actions held to botocore's models")
    missing = sorted(known - set(SPOKEN.actions))
    if missing:
        print(f"never said: {', '.join(missing)}")
        session.exitstatus = 1


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

"""Starts a sandbox of its own for a test, and the official clients that talk to it."""

import contextlib
import datetime
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import boto3
import botocore.config

ROOT = pathlib.Path(__file__).resolve().parents[2]
OWN = "123456789012"
SECOND = "210987654321"
FIVETRAN = "834469178297"
STRANGER = "999988887777"
KEYS = {
    OWN: "AKIASANDBOX123456789",
    SECOND: "AKIASANDBOX210987654",
    FIVETRAN: "AKIASANDBOX834469178",
    STRANGER: "AKIASANDBOX999988887",
}
VPC = "vpc-0a1b2c3d4e5f60718"
SUBNETS = ["subnet-0aaaaaaaaaaaaaaa1", "subnet-0bbbbbbbbbbbbbbb2", "subnet-0ccccccccccccccc3"]
DATABASE_GROUP = "sg-0ddddddddddddddd4"
INSTANCE = "i-0123456789abcdef0"
CERTIFICATE = f"arn:aws:acm:us-east-1:{OWN}:certificate/12345678-1234-1234-1234-123456789012"
TOPIC = f"arn:aws:sns:us-east-1:{OWN}:privnet-connections"


def command():
    """What serves a sandbox: a program that is built already, or cargo."""
    built = os.environ.get("PRIVNET_SANDBOX_SERVE")
    if built:
        return [built]
    return "cargo run -q -p privnet-sandbox --no-default-features --features aws --example serve --".split()


class Sandbox:
    """A sandbox in a folder of its own; `record` is the file of its exchanges."""

    def __init__(self, speed=60, faults=(), lag=None, rates=False, held=False):
        self.folder = tempfile.TemporaryDirectory()
        # In the folder that is looked through after all tests, if there is one.
        records = pathlib.Path(os.environ.get("PRIVNET_RECORDS", self.folder.name))
        self.record = records / f"{pathlib.Path(self.folder.name).name}.jsonl"
        self.speed = speed
        arguments = ["--dir", self.folder.name, "--speed", str(speed), "--record", str(self.record)]
        if lag is not None:
            arguments += ["--lag", str(lag)]
        if not rates:
            arguments += ["--no-rate-limits"]
        if held:
            arguments += ["--hold-requests"]
        for fault in faults:
            arguments += ["--fault", fault]
        self.process = subprocess.Popen(command() + arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.variables = {}
        for line in self.process.stdout:
            if line.strip() == "ready":
                break
            name, _, value = line.strip().partition("=")
            self.variables[name] = value
        if "AWS_URL" not in self.variables:
            self.close()
            raise RuntimeError("the sandbox did not start, or it was built without the feature `aws`")
        self.url = self.variables["AWS_URL"]

    def close(self):
        self.process.terminate()
        self.process.wait(30)
        self.process.stdout.close()
        self.folder.cleanup()

    def client(self, service, account=OWN, region="us-east-1", retries=4, **credentials):
        """boto3, unchanged. Credentials are the account's fixed key unless given."""
        keys = credentials or {"aws_access_key_id": KEYS[account], "aws_secret_access_key": "sandbox"}
        config = botocore.config.Config(retries={"total_max_attempts": retries, "mode": "standard"})
        session = boto3.session.Session(region_name=region, **keys)
        return session.client(service, endpoint_url=self.url, config=config)

    def cli(self, *arguments, account=OWN):
        """The AWS CLI, unchanged, as a user would call it; its JSON answer."""
        program = pathlib.Path(sys.executable).parent / "aws"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": self.folder.name,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": KEYS[account],
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        done = subprocess.run(
            [str(program), "--output", "json", *arguments], env=environment, capture_output=True, text=True, timeout=120
        )
        if done.returncode:
            raise CliError(done.stderr.strip())
        return json.loads(done.stdout) if done.stdout.strip() else None

    def _turn_clock(self, change):
        """Has the sandbox, which reads its clock at every look, go on from now with what `change` makes of the time and the speed."""
        path = pathlib.Path(self.folder.name, "clock.json")
        base = json.loads(path.read_text())
        real, sandbox = (datetime.datetime.fromisoformat(base[of]) for of in ("real", "sandbox"))
        now = datetime.datetime.now(datetime.timezone.utc)
        # Python cuts off what is below a microsecond, and time must not go back.
        present = sandbox + (now - real) * base["speed"] + datetime.timedelta(microseconds=1)
        present, speed = change(present, base["speed"])
        written = path.with_suffix(".python")
        written.write_text(json.dumps({"real": now.isoformat(), "sandbox": present.isoformat(), "speed": speed}))
        written.replace(path)
        self.speed = speed

    @contextlib.contextmanager
    def almost_still(self):
        """Within it ten seconds take less than one of the sandbox's: what is there for seconds is seen however busy the machine is."""
        speed = self.speed
        self._turn_clock(lambda present, _: (present, 0.1))
        try:
            yield
        finally:
            self._turn_clock(lambda present, _: (present, speed))

    def advance(self, seconds):
        """Moves the sandbox's time forward at once."""
        self._turn_clock(lambda present, speed: (present + datetime.timedelta(seconds=seconds), speed))

    def pass_time(self, seconds):
        """Waits until that many seconds have passed in the sandbox."""
        time.sleep(seconds / self.speed)

    def until(self, probe, seconds=300):
        """The first result of `probe` that is true, within that much sandbox time."""
        deadline = time.monotonic() + seconds / self.speed + 5
        while time.monotonic() < deadline:
            found = probe()
            if found:
                return found
            time.sleep(0.05)
        raise AssertionError("it did not come to pass")


class CliError(Exception):
    """The AWS CLI failed; the text is what it wrote to standard error."""

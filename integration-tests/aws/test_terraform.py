"""Terraform with HashiCorp's provider, unchanged, carries out the life of an endpoint service on the sandbox. It is left out, loudly, where
Terraform is not installed, or no folder with the provider is there: nothing is fetched for it."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import botocore_check
from aws_sandbox import KEYS, OWN, SECOND, Sandbox

TERRAFORM = shutil.which("terraform")


def plugins():
    """A folder of providers that need not be fetched, as `terraform init -plugin-dir` takes it: the one that is named, or one of this machine's."""
    named = os.environ.get("PRIVNET_TERRAFORM_PLUGINS")
    roots = ["/opt", "/usr/share/terraform", "/usr/local/share/terraform"]
    folders = [pathlib.Path(named)] if named else [folder for root in roots for folder in pathlib.Path(root).glob("*")]
    return next((folder for folder in folders if any(folder.glob("*/hashicorp/aws/*/*"))), None)


PLUGINS = plugins()
IS_HERE = TERRAFORM is not None and PLUGINS is not None
if not IS_HERE:
    print("SKIPPED: Terraform and its provider for AWS are not installed, so nothing is proved of them here", file=sys.stderr)


class Terraform:
    """Terraform in a folder of its own, which knows the sandbox and no other place."""

    def __init__(self, sandbox, folder):
        self.folder = folder
        shutil.copy(pathlib.Path(__file__).parent / "terraform" / "main.tf", folder)
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "TF_CLI_CONFIG_FILE": os.devnull,
            "CHECKPOINT_DISABLE": "1",
            "TF_VAR_consumer_key": KEYS[SECOND],
            "TF_VAR_consumer_account": SECOND,
            "AWS_ENDPOINT_URL": sandbox.url,
            "AWS_ACCESS_KEY_ID": KEYS[OWN],
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def run(self, *arguments):
        done = subprocess.run(
            [TERRAFORM, *arguments, "-no-color"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def must(self, *arguments):
        code, said = self.run(*arguments)
        assert code == 0, f"terraform {' '.join(arguments)}\n{said}"
        return said


@pytest.mark.skipif(not IS_HERE, reason="Terraform and its provider for AWS are not installed")
def test_the_life_of_an_endpoint_service(tmp_path):
    # Nobody asks but Terraform's own consumer: another request would keep the service from being deleted.
    sandbox = Sandbox(held=True)
    try:
        terraform = Terraform(sandbox, tmp_path)
        terraform.must("init", f"-plugin-dir={PLUGINS}")
        said = terraform.must("apply", "-auto-approve", "-input=false", "-var=zones=2")
        assert "12 added, 0 changed, 0 destroyed" in said, said
        connections = sandbox.client("ec2").describe_vpc_endpoint_connections()["VpcEndpointConnections"]
        theirs = [one for one in connections if one["VpcEndpointOwner"] == SECOND and one["ServiceId"] != "vpce-svc-0eeeeeeeeeeeeeee5"]
        assert [one["VpcEndpointState"] for one in theirs] == ["available"]
        # Each field reads back as it was written: 0 is no difference, 2 is one.
        code, said = terraform.run("plan", "-input=false", "-detailed-exitcode", "-var=zones=2")
        assert code == 0, said
        said = terraform.must("apply", "-auto-approve", "-input=false", "-var=zones=3")
        assert "0 added, 1 changed, 0 destroyed" in said, said
        said = terraform.must("destroy", "-auto-approve", "-input=false", "-var=zones=3")
        assert "12 destroyed" in said, said
        report = botocore_check.check([sandbox.record])
        assert not report.failures, "\n".join(report.failures)
    finally:
        sandbox.close()

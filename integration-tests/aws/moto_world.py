"""Serves moto on a free loopback port with a network in it, and prints one line of JSON: its URL and the ids to use.

moto is a third party's emulator of AWS. It ends when its standard input does.
"""

import functools
import json
import sys

import boto3
import moto.backends
import moto.core.responses
from moto.server import ThreadedMotoServer


def remember():
    """moto lists its own folder and its classes' methods at each request: once is enough. What it answers is left as it is."""
    modules = list(moto.backends.list_of_moto_modules())
    moto.backends.list_of_moto_modules = lambda: modules
    moto.core.responses.method_names_from_class = functools.cache(moto.core.responses.method_names_from_class)


def serve(server_of):
    """A server on a free port, and its URL."""
    remember()
    server = server_of(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    return server, f"http://{host}:{port}"


def network(url):
    """Makes a network in the account at this URL; the URL and the ids."""
    settings = {"endpoint_url": url, "region_name": "us-east-1"}
    settings.update(aws_access_key_id="testing", aws_secret_access_key="testing")
    ec2 = boto3.client("ec2", **settings)
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{index}.0/24", AvailabilityZone=f"us-east-1{zone}")["Subnet"]["SubnetId"]
        for index, zone in enumerate("ab")
    ]
    group = ec2.create_security_group(GroupName="database", Description="x", VpcId=vpc)["GroupId"]
    return {"url": url, "vpc": vpc, "subnets": subnets, "group": group}


def main():
    server, url = serve(ThreadedMotoServer)
    print(json.dumps(network(url)), flush=True)
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main()

"""azure-mgmt-* over plain HTTP at a local ARM, for processes that are asked again and again. They know nothing of privnet."""

from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.network import NetworkManagementClient
from azure.mgmt.sql import SqlManagementClient

OWN = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
GROUP = "rg-data"


class GivenToken(SansIOHTTPPolicy):
    """The library's own bearer policy refuses plain HTTP."""

    def on_request(self, request):
        request.http_request.headers["Authorization"] = "Bearer a-colleague"


class Subscription:
    """The clients of one subscription, and names instead of ids."""

    def __init__(self, url):
        settings = dict(base_url=url, authentication_policy=GivenToken(), polling_interval=0.02)
        self.network = NetworkManagementClient(object(), OWN, **settings)
        self.compute = ComputeManagementClient(object(), OWN, **settings)
        self.sql = SqlManagementClient(object(), OWN, **settings)


def name_of(identifier, parts=1):
    """The last names of an id: `lb/backendAddressPools/pool` with three parts."""
    return "/".join((identifier or "").split("/")[-parts:])


def tags(thing):
    return sorted((thing.tags or {}).items())

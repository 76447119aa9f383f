"""Compares the sandbox with recorded exchanges of the real ARM, where there are any.

The recordings (VCR YAML of Azure CLI's tests) are no part of the project. They are looked for in the folder that
PRIVNET_RECORDINGS names, else in `../shared/recordings` beside the project; without them the comparison is skipped, loudly.

Every recorded request that the sandbox models is sent again, with the sandbox's names. Compared are: the status, which of
ARM's headers there are and what those say that always say the same, the names of all properties of the answer and their values, and the
states of each operation in their order. Differences that are known and harmless are listed here, each with its reason.
"""

import json
import os
import pathlib
import re
import urllib.parse
import warnings

import pytest
import yaml

from arm_sandbox import GROUP, OWN, ROOT

RECORDED_SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# The headers that say how ARM works; the others are of the network in between.
HEADERS = {
    "azure-asyncnotification",
    "azure-asyncoperation",
    "cache-control",
    "etag",
    "expires",
    "location",
    "pragma",
    "strict-transport-security",
    "x-content-type-options",
}

# Property paths that the sandbox answers and the recording lacks, or the other way round, with the reason.
KNOWN = {
    r".*\.ipamPoolPrefixAllocations$": "some regions of the recordings have it, others do not",
    r".*\.tags(\..*)?$": "the recorder's own tags, and the one that keeps the sandbox's consumers away",
    # A group's or server's own data that no client of private links reads.
    r"\.(systemData|managedBy)(\..*)?$": "not modelled",
    r"\.properties\.(storage|maintenanceWindow|maintenancePolicy|backup|highAvailability|network|replicationRole"
    r"|replicaCapacity|administratorLogin|availabilityZone|databasePort)(\..*)?$": "a server's own settings are not modelled",
}

# Values that differ, by the type of the resource and the path, with the reason.
KNOWN_VALUES = {
    r".*\.properties\.dnsSettings\.internal(DomainNameSuffix|Fqdn)$": "generated",
    r"Microsoft.Network/publicIPAddresses\.properties\.ipAddress$": "one of the cloud's own",
    r"\.startTime$": "a time",
    r"Microsoft.DBforMySQL/flexibleServers\.(sku\.(name|tier)|location|properties\.version)$": "the sandbox's server is another one",
    r"\.properties\.privateLinkServiceConnectionState\.status$": "the recorder waited between the approval and its read",
}
# The ids that are generated.
GENERATED = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
# Headers that say the same in every answer that has them.
SAME = {"azure-asyncnotification", "cache-control", "content-type", "expires", "pragma", "strict-transport-security", "x-content-type-options"}


def folder():
    named = os.environ.get("PRIVNET_RECORDINGS")
    return pathlib.Path(named) if named else ROOT.parent / "shared" / "recordings"


def recordings():
    return sorted((folder() / "azure").glob("*.yaml"))


def require_recordings():
    if not recordings():
        message = f"NOT COMPARED WITH THE REAL ARM: no recordings in {folder()} (set PRIVNET_RECORDINGS)"
        warnings.warn(message, stacklevel=1)  # told in the summary of a quiet run too
        pytest.skip(message)


def names(value, path=""):
    """The paths of all properties."""
    found = set()
    if isinstance(value, dict):
        for name, inner in value.items():
            found.add(f"{path}.{name}")
            found |= names(inner, f"{path}.{name}")
    elif isinstance(value, list):
        for inner in value:
            found |= names(inner, f"{path}[]")
    return found


def differences(recorded, own, path=""):
    """The paths of values that are others, or of another type, and how they differ."""
    if isinstance(recorded, dict) and isinstance(own, dict):
        for name in recorded.keys() & own.keys():
            yield from differences(recorded[name], own[name], f"{path}.{name}")
    elif isinstance(recorded, list) and isinstance(own, list):
        if len(recorded) != len(own):
            yield path, f"has {len(own)} instead of {len(recorded)}"
        for theirs, ours in zip(recorded, own):
            yield from differences(theirs, ours, f"{path}[]")
    elif type(recorded) is not type(own) or recorded != own:
        yield path, f"is {own!r} instead of {recorded!r}"


def known(path):
    return any(re.match(pattern, path) for pattern in KNOWN)


class Replay:
    """One recording, sent again."""

    def __init__(self, sandbox, recording):
        self.sandbox = sandbox
        self.interactions = yaml.load(recording.read_text(), Loader=LOADER)["interactions"]
        self.operations = {}
        self.states = {}
        self.names = {RECORDED_SUBSCRIPTION: OWN}
        self.problems = []
        self.replayed = self.skipped = 0

    def translate(self, text):
        for recorded, own in self.names.items():
            text = text.replace(recorded, own)
        return text

    def run(self):
        self.make_groups()
        for number, interaction in enumerate(self.interactions):
            request, response = interaction["request"], interaction["response"]
            path = request["uri"].split("management.azure.com", 1)[1]
            if "/deployments/" in path:
                self.deploy(request)
                self.skipped += 1
            elif re.search("checkNameAvailability|capabilities|/databases/|azureAsyncOperation|autoApproved", path):
                self.skipped += 1
            elif "DBforMySQL" in path and request["method"] == "PUT" and "privateEndpointConnections" not in path:
                # The server is there already, under the sandbox's name.
                self.names[path.split("/flexibleServers/")[1].split("?")[0]] = "shop"
                self.skipped += 1
            else:
                self.replay(f"#{number} {request['method']} {path.split('?')[0][-90:]}", path, request, response)
                self.replayed += 1

    def make_groups(self):
        uris = " ".join(interaction["request"]["uri"] for interaction in self.interactions)
        locations = set(re.findall(r"/locations/([a-z0-9]+)/operations/", uris))
        location = sorted(locations)[0] if locations else "eastus2"
        for group in set(re.findall(r"/resource[gG]roups/([^/?]+)", uris)):
            answer = self.sandbox.send(
                "PUT",
                f"/subscriptions/{OWN}/resourcegroups/{group}?api-version=2022-09-01",
                {"location": location, "tags": {"product": "azurecli"}},
            )
            assert answer.status_code == 201, answer.text

    def deploy(self, request):
        """The resources of a template, which the sandbox does not take, written one by one."""
        if request["method"] != "PUT":
            return
        group = re.search(r"/resource[gG]roups/([^/?]+)", request["uri"]).group(1)
        template = json.loads(request["body"])["properties"]["template"]
        for resource in template["resources"]:
            body = {key: value for key, value in resource.items() if key not in ("apiVersion", "type", "name", "dependsOn")}
            text = self.translate(json.dumps(body)).replace("[resourceGroup().id]", f"/subscriptions/{OWN}/resourceGroups/{group}")
            target = f"/subscriptions/{OWN}/resourceGroups/{group}/providers/{resource['type']}/{resource['name']}"
            answer = self.sandbox.send("PUT", f"{target}?api-version={resource['apiVersion']}", json.loads(text))
            assert answer.status_code in (200, 201), answer.text
            self.settle(answer)

    def settle(self, answer):
        url = answer.headers.get("azure-asyncoperation")
        if url:
            self.sandbox.until(lambda: self.sandbox.send("GET", url).json()["status"] != "InProgress")

    def target(self, path):
        """The path in the sandbox, or the operation that the recorded one stands for."""
        operation = re.search(r"/(?:operations|operationResults)/([0-9a-f-]{36})", path)
        if operation:
            url = self.operations.get(operation.group(1), path)
            return url.replace("/operations/", "/operationResults/") if "/operationResults/" in path else url
        connection = re.search(r"privateEndpointConnections/([^?/]+)", path)
        if connection and connection.group(1) not in self.names:
            self.names[connection.group(1)] = self.connection_name(path)
        path = self.translate(path)
        if "flexibleServers/shop" in path:
            path = re.sub(r"resource[gG]roups/[^/]+/providers/Microsoft.DBforMySQL", f"resourceGroups/{GROUP}/providers/Microsoft.DBforMySQL", path)
        return path

    def connection_name(self, path):
        server = f"/subscriptions/{OWN}/resourceGroups/{GROUP}/providers/Microsoft.DBforMySQL/flexibleServers/shop"
        parent = self.sandbox.send("GET", f"{server}?api-version=2023-12-30").json()
        return parent["properties"]["privateEndpointConnections"][0]["id"].rsplit("/", 1)[1]

    def body_of(self, request):
        if not request.get("body"):
            return None
        return json.loads(self.as_own(request["body"]))

    def as_own(self, text):
        """The text with the sandbox's names in it, whose server is in another group."""
        text = self.translate(text)
        return re.sub(r"resourceGroups/[^/]+/providers/Microsoft.DBforMySQL", f"resourceGroups/{GROUP}/providers/Microsoft.DBforMySQL", text)

    def replay(self, label, path, request, response):
        polls = re.search(r"/operations/([0-9a-f-]{36})", path)
        recorded = json.loads(response["body"]["string"] or "null")
        if polls:
            self.poll(label, path, polls.group(1), recorded)
            return
        if request["method"] == "GET" and "/operationResults/" not in path:
            self.sandbox.pass_time(3)
        url = urllib.parse.quote(self.target(path), safe="/:?&=$%,'()-._~")
        body = self.body_of(request)
        if "/privateLinkServices/" in path and body:
            body["tags"] = {"sandbox-consumers": "none"}
        answer = self.sandbox.send(request["method"], url, body)
        self.remember(response, answer)
        status = response["status"]["code"]
        if answer.status_code != status:
            self.problems.append(f"{label}: {answer.status_code} instead of {status}: {answer.text[:300]}")
            return
        own = answer.json() if answer.content else None
        self.compare_headers(label, response, answer, path)
        if "/networkInterfaces?" in path and "/resourceGroups/" not in path:
            return  # the recorded list is that of a shared subscription
        if "$filter" in path:
            recorded = {"value": []}
            own = {"value": own["value"]}
        self.compare_bodies(label, recorded, own)

    def remember(self, response, answer):
        theirs = {name.lower(): value[0] for name, value in response["headers"].items()}
        for header in ("azure-asyncoperation", "location"):
            found = re.search(r"/(?:operations|operationResults|azureAsyncOperation)/([0-9a-f-]{36})", theirs.get(header, ""))
            if found and answer.headers.get("azure-asyncoperation"):
                self.operations[found.group(1)] = answer.headers["azure-asyncoperation"]

    def poll(self, label, path, recorded_id, recorded):
        """Polls to the end at the first recorded poll; afterwards the order of states is compared."""
        if recorded_id not in self.operations:
            self.problems.append(f"{label}: no such operation in the sandbox")
            return
        theirs = self.states.setdefault(recorded_id, ([], []))
        theirs[0].append(recorded["status"])
        if theirs[1]:
            return
        url = self.operations[recorded_id]

        def ended():
            body = self.sandbox.send("GET", url).json()
            if set(body) != {"status"}:
                self.problems.append(f"{label}: {body}")
            if not theirs[1] or theirs[1][-1] != body["status"]:
                theirs[1].append(body["status"])
            return body["status"] != "InProgress"

        self.sandbox.until(ended)

    def compare_states(self):
        for recorded, own in self.states.values():
            folded = [state for index, state in enumerate(recorded) if index == 0 or recorded[index - 1] != state]
            # A recorder that polled late saw the end alone.
            if own[-len(folded):] != folded and folded[-len(own):] != own:
                self.problems.append(f"states {own} instead of {folded}")

    def compare_headers(self, label, response, answer, path):
        theirs = {name.lower() for name in response["headers"]} & HEADERS
        ours = {name.lower() for name in answer.headers} & HEADERS
        for missing in sorted(theirs - ours):
            self.problems.append(f"{label}: header {missing} is missing")
        for extra in sorted(ours - theirs):
            self.problems.append(f"{label}: header {extra} is not recorded")
        recorded = {name.lower(): value[0] for name, value in response["headers"].items()}
        # What has no content needs no type, though ARM names one.
        same = SAME if answer.content else SAME - {"content-type"}
        for name in sorted(same & recorded.keys()):
            if answer.headers.get(name) != recorded[name]:
                self.problems.append(f"{label}: header {name} is {answer.headers.get(name)!r} instead of {recorded[name]!r}")
        word = {"GET": "reads", "HEAD": "reads", "DELETE": "deletes"}.get(answer.request.method, "writes")
        if f"x-ms-ratelimit-remaining-subscription-global-{word}" not in answer.headers:
            self.problems.append(f"{label}: no rate limit header")

    def compare_bodies(self, label, recorded, own):
        ours, theirs = names(own), names(recorded)
        for missing in sorted(theirs - ours):
            if not known(missing):
                self.problems.append(f"{label}: {missing} is missing")
        for extra in sorted(ours - theirs):
            if not known(extra):
                self.problems.append(f"{label}: {extra} is not recorded")
        theirs, ours = (json.loads(GENERATED.sub("*", text)) for text in (self.as_own(json.dumps(recorded)), json.dumps(own)))
        kind = recorded.get("type", "") if isinstance(recorded, dict) else ""
        for path, difference in differences(theirs, ours):
            if not any(re.match(pattern, kind + path) for pattern in KNOWN_VALUES):
                self.problems.append(f"{label}: {path} {difference}")
        if isinstance(recorded, dict) and "error" in recorded and recorded["error"]["code"] != own["error"]["code"]:
            self.problems.append(f"{label}: {own['error']['code']} instead of {recorded['error']['code']}")


def test_recordings_are_there_or_their_absence_is_told():
    require_recordings()


@pytest.mark.parametrize("recording", recordings(), ids=lambda path: path.stem)
def test_the_sandbox_answers_as_recorded(sandbox, recording):
    replay = Replay(sandbox, recording)
    replay.run()
    replay.compare_states()
    print(f"{recording.name}: {replay.replayed} of {len(replay.interactions)} exchanges compared, {replay.skipped} not modelled")
    assert not replay.problems, "\n" + "\n".join(replay.problems)
    assert replay.replayed > len(replay.interactions) / 2

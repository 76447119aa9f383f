"""The checker finds what is wrong: each broken exchange here is a right one with one thing changed. And real exchanges pass."""

import copy
import enum
import json
import urllib.parse

import pytest
import yaml

import models_check
from test_recordings import LOADER, recordings, require_recordings

GROUP = "/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg-data/providers"
BALANCER = f"{GROUP}/Microsoft.Network/loadBalancers/lb"
PROBE = {"name": "p", "properties": {"protocol": "Tcp", "port": 5432, "intervalInSeconds": 5}}
GOOD = {
    "cloud": "azure",
    "method": "PUT",
    "path": f"{BALANCER}?api-version=2025-05-01",
    "body": {"location": "eastus2", "sku": {"name": "Standard"}, "properties": {"probes": [PROBE]}},
    "status": 200,
    "response": {
        "id": BALANCER,
        "name": "lb",
        "type": "Microsoft.Network/loadBalancers",
        "location": "eastus2",
        "tags": {"a": "b"},
        "properties": {"provisioningState": "Succeeded", "probes": [PROBE]},
    },
}
REFUSED = {"error": {"code": "InvalidRequestFormat", "message": "no", "details": []}}
OPERATION = {
    "cloud": "azure",
    "method": "GET",
    "path": "/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/providers/Microsoft.Network/locations/eastus2/operations/1",
    "body": "",
    "status": 200,
    "response": {"status": "InProgress", "startTime": "2026-01-05T01:00:00.1234567Z"},
}
PAGE = GOOD | {
    "method": "GET",
    "path": f"{GROUP}/Microsoft.Network/loadBalancers",
    "body": "",
    "response": {"value": [GOOD["response"]], "nextLink": "http://x/"},
}


@pytest.fixture(scope="module")
def checker():
    """The packages' operations are read once."""
    return models_check.Checker()


def problems(checker, line):
    line = copy.deepcopy(line)
    for side in ("body", "response"):
        if isinstance(line[side], dict):
            line[side] = json.dumps(line[side])
    checker.problems = []
    checker.exchange(line)
    return checker.problems


def changed(line, *steps, to):
    line = copy.deepcopy(line)
    place = line
    for step in steps[:-1]:
        place = place[step]
    place[steps[-1]] = to
    return line


def test_right_exchanges_pass(checker):
    refused = GOOD | {"status": 400, "response": REFUSED, "body": {"nonsense": 1}}
    accepted = {"method": "DELETE", "body": "", "status": 202, "response": ""}
    for line in [GOOD, GOOD | {"status": None, "response": None}, refused, OPERATION, PAGE, GOOD | accepted]:
        assert problems(checker, line) == []


def test_each_wrong_thing_is_found(checker):
    in_probe = ("properties", "probes", 0, "properties")
    for line in [
        changed(GOOD, "path", to=BALANCER + "/probe/p"),
        changed(GOOD, "method", to="POST"),
        changed(GOOD, "body", to=""),
        changed(GOOD, "body", "colour", to="red"),
        changed(GOOD, "body", "Location", to="eastus2"),
        changed(GOOD, "body", "location", to=1),
        changed(GOOD, "body", "sku", to="Standard"),
        changed(GOOD, "body", "sku", "name", to="Golden"),
        changed(GOOD, "body", *in_probe, "port", to="5432"),
        changed(GOOD, "body", *in_probe, "port", to=True),
        changed(GOOD, "body", *in_probe, "path", to="/"),
        changed(GOOD, "body", *in_probe, "protocol", to="Udp"),
        changed(GOOD, "body", "properties", "probes", to={}),
        changed(GOOD, "response", to=""),
        changed(GOOD, "response", "tags", to={"a": 1}),
        changed(GOOD, "response", "tags", to=None),
        changed(GOOD, "response", "properties", "provisioningState", to="Done"),
        changed(GOOD, "response", *in_probe, "requestpath", to="/"),
        changed(PAGE, "body", to={"a": 1}),
        changed(PAGE, "response", "next", to="x"),
        changed(PAGE, "response", "nextLink", to=1),
        changed(PAGE, "response", "value", to={}),
        changed(PAGE, "response", "value", 0, "colour", to="red"),
        changed(OPERATION, "response", to={}),
        changed(OPERATION, "response", "percentComplete", to="1"),
        changed(OPERATION, "response", "colour", to="red"),
        changed(OPERATION, "response", "status", to="Failed"),
        GOOD | {"status": 400, "response": ""},
        GOOD | {"status": 400, "response": {"error": {"code": "X"}}},
        GOOD | {"status": 400, "response": changed(REFUSED, "error", "colour", to="red")},
    ]:
        assert problems(checker, line), line


def test_what_is_alike_is_checked_once_and_nothing_else_is_left_out(tmp_path):
    def with_id(line, id):
        return changed(line, "response", "properties", "resourceGuid", to=f"{id}-1111-2222-3333-444444444444")

    wrong = changed(GOOD, "body", "location", to=1)
    lines = [
        with_id(GOOD, "aaaaaaaa"),
        with_id(GOOD, "bbbbbbbb"),
        changed(GOOD, "body", "properties", "probes", 0, "properties", "port", to=5433),
        wrong,
        wrong,
    ]
    for number, line in enumerate(lines):
        text = {side: json.dumps(line[side]) for side in ("body", "response")}
        (tmp_path / f"{number}.jsonl").write_text(json.dumps(line | text) + "\n")
    for each_once, counts in [(True, (1, 3)), (False, (2, 5))]:
        checked = models_check.check([tmp_path], each_once)
        assert (len(checked.problems), sum(checked.seen.values())) == counts, checked.problems


def test_no_word_of_a_package_is_taken_for_a_generated_id(checker):
    models = {operation.module for operation in checker.operations}
    words = {str(word.value) for module in models for kind in vars(module).values() if isinstance(kind, enum.EnumMeta) for word in kind}
    names = {name for module in models for kind in vars(module).values() if models_check.is_model(kind) for name in checker.models.fields(kind)}
    assert len(words) > 1000 and len(names) > 1000
    taken = {word for word in words | names if models_check.exchanges.GENERATED.search(word)}
    # Policies of application gateways, which are named after a day.
    assert {word for word in taken if not word.startswith("AppGwSslPolicy")} == set()


def test_what_no_package_knows_is_named(checker):
    vault = GOOD | {"method": "GET", "path": f"{GROUP}/Microsoft.KeyVault/vaults/v", "body": ""}
    assert problems(checker, vault) == []
    assert checker.uncovered == {"GET microsoft.keyvault/vaults": 1}


def test_real_exchanges_pass(checker):
    """What the packages do not have of the recorded ARM is in the checker's table, or is here."""
    require_recordings()
    never_answered_by_the_sandbox = ("linkedResourceType is", "bareMetalServer is", "managedBy is")
    seen, wrong = 0, []
    for path in recordings():
        for exchange in yaml.load(path.read_text(), Loader=LOADER)["interactions"]:
            asked, answered = exchange["request"], exchange["response"]
            url = urllib.parse.urlsplit(asked["uri"])
            text = answered["body"].get("string") or ""
            line = {"method": asked["method"], "path": url.path, "body": asked.get("body") or "", "status": answered["status"]["code"]}
            if url.hostname == "management.azure.com":
                seen += 1
                wrong += problems(checker, line | {"response": text})
    wrong = [problem for problem in wrong if not any(name in problem for name in never_answered_by_the_sandbox)]
    assert seen > 200 and not wrong, wrong

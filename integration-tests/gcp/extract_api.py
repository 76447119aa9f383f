#!/usr/bin/env python3
"""Extracts what the sandbox serves of compute v1 from the discovery document.

The document is the one that google-api-python-client ships (pinned in requirements.txt). Only facts are
taken: paths, parameters, types, formats, enums, patterns. Prose is left out.

    extract_api.py            writes crates/privnet-sandbox/src/gcp/compute-v1.json
    extract_api.py --check    fails when that file is not what would be written
"""

import json
import pathlib
import sys

import discovery

OUT = pathlib.Path(__file__).resolve().parents[2] / "crates/privnet-sandbox/src/gcp/compute-v1.json"

CRUD = "get list insert delete"
SERVED = {
    "projects": "get getXpnHost getXpnResources",
    "zones": "get list",
    "regions": "get list",
    "networks": CRUD + " patch",
    "subnetworks": CRUD + " patch aggregatedList listUsable expandIpCidrRange setPrivateIpGoogleAccess",
    "firewalls": CRUD + " patch update",
    "networkEndpointGroups": CRUD
    + " aggregatedList attachNetworkEndpoints detachNetworkEndpoints listNetworkEndpoints",
    "instanceGroups": CRUD + " aggregatedList addInstances removeInstances listInstances setNamedPorts",
    "regionInstanceGroups": "get list listInstances setNamedPorts",
    "instanceTemplates": CRUD + " aggregatedList",
    "regionInstanceTemplates": CRUD,
    "instanceGroupManagers": CRUD
    + " patch aggregatedList resize setInstanceTemplate listManagedInstances listErrors"
    + " recreateInstances deleteInstances",
    "regionInstanceGroupManagers": CRUD
    + " patch resize setInstanceTemplate listManagedInstances listErrors recreateInstances deleteInstances",
    "instances": CRUD + " aggregatedList setLabels setTags start stop",
    "healthChecks": CRUD + " patch update aggregatedList",
    "regionHealthChecks": CRUD + " patch update",
    "backendServices": "get list aggregatedList",
    "regionBackendServices": CRUD + " patch update getHealth",
    "addresses": CRUD + " aggregatedList setLabels",
    "forwardingRules": CRUD + " patch aggregatedList setLabels setTarget",
    "serviceAttachments": CRUD + " patch aggregatedList",
    "images": "get list getFromFamily",
    "machineTypes": "get list aggregatedList",
    "zoneOperations": "get list wait delete",
    "regionOperations": "get list wait delete",
    "globalOperations": "get list wait delete aggregatedList",
}

KEPT = ("type", "format", "enum", "pattern", "$ref")


def shape(node, required):
    """A schema without its prose; `required` collects the methods that demand the property."""
    out = {key: node[key] for key in KEPT if key in node}
    if "properties" in node:
        out["properties"] = {name: shape(child, name) for name, child in node["properties"].items()}
    if "items" in node:
        out["items"] = shape(node["items"], None)
    if "additionalProperties" in node:
        out["additionalProperties"] = shape(node["additionalProperties"], None)
    needed = node.get("annotations", {}).get("required")
    if required and needed:
        out["required"] = needed
    return out


def references(node):
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)


def extract(document):
    methods, wanted = {}, []
    for collection, verbs in SERVED.items():
        for verb in verbs.split():
            method = document["resources"][collection]["methods"][verb]
            entry = {"http": method["httpMethod"], "path": method["path"]}
            for place in ("path", "query"):
                found = {
                    name: {key: spec[key] for key in ("type", "format", "enum", "pattern", "repeated") if key in spec}
                    for name, spec in method["parameters"].items()
                    if spec["location"] == place
                }
                if found:
                    entry[place + "Parameters"] = found
            for side in ("request", "response"):
                if side in method:
                    entry[side] = method[side]["$ref"]
                    wanted.append(method[side]["$ref"])
            methods[f"{collection}.{verb}"] = entry
    schemas = {}
    while wanted:
        name = wanted.pop()
        if name not in schemas:
            schemas[name] = shape(document["schemas"][name], None)
            wanted.extend(references(schemas[name]))
    common = sorted(document["parameters"])
    return {
        "revision": document["revision"],
        "commonParameters": common,
        "methods": dict(sorted(methods.items())),
        "schemas": dict(sorted(schemas.items())),
    }


def main():
    text = json.dumps(extract(discovery.document()), indent=None, separators=(",", ":"), sort_keys=False)
    # One method or schema a line: small, and a change of revision gives a readable difference.
    text = text.replace('},"', '},\n"') + "\n"
    if "--check" in sys.argv[1:]:
        if OUT.read_text() != text:
            sys.exit(f"{OUT} is not what the pinned discovery document gives: run extract_api.py")
        print("compute-v1.json agrees with the pinned discovery document")
        return
    OUT.write_text(text)
    print(f"wrote {OUT} ({len(text)} bytes)")


if __name__ == "__main__":
    main()

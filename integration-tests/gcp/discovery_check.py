#!/usr/bin/env python3
"""Checks a record of exchanges with GCP against the compute.v1 discovery document, strictly and both ways.

    discovery_check.py RECORD-OR-FOLDER… [--forbid-output-only] [--methods] [--each-once]

Every request has to be one
that the document knows: its method and path, its parameters, and a body without unknown names, wrong types, enum values
or formats. Every answer of 200 has to be of the documented type, everything else an error of the documented form.
With --forbid-output-only a request may not send what only the server sets. With --each-once what is alike is checked once.

The exit status is 1 when anything is wrong, or when there was nothing to check.
"""

import argparse
import base64
import collections
import datetime
import json
import pathlib
import re
import sys
import urllib.parse

import discovery

# What the checks of all clouds share stands beside their folders.
sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
import exchanges

PREFIX = "/compute/v1/"
# Who is asked for a token, and what a machine says of itself: other APIs than Compute Engine's.
OUTSIDE = re.compile(r"/(token|tokeninfo|v1/token|computeMetadata/.*)$")
TIMES = {"creationTimestamp", "insertTime", "startTime", "endTime", "lastStartTimestamp", "lastStopTimestamp"}
# The one name in an error that the document does not describe: Google's JSON front end adds it.
ERROR_KEYS = {"code", "message", "errors", "status", "details"}
RANGES = {"int32": (-(2**31), 2**31 - 1), "uint32": (0, 2**32 - 1), "int64": (-(2**63), 2**63 - 1), "uint64": (0, 2**64 - 1)}
# Fingerprints are generated too.
GENERATED = re.compile(exchanges.GENERATED.pattern + r'|(?<=ingerprint":")[^"]*')


def methods(resources):
    for resource in resources.values():
        for method in resource.get("methods", {}).values():
            yield method
        yield from methods(resource.get("resources", {}))


def unbatched(line):
    """The exchanges within a batch, as lines of their own."""
    asked = parts(line["body"])
    answered = parts(line["response"]) if line.get("response") else [None] * len(asked)
    if not asked or len(asked) != len(answered):
        raise ValueError("a batch without a part for each request")
    for request, answer in zip(asked, answered):
        head, _, body = request.partition("\n\n")
        method, path = head.split()[:2]
        inner = {"cloud": "gcp", "method": method, "path": path, "body": body.strip(), "status": None, "response": None}
        if answer is not None:
            head, _, body = answer.partition("\n\n")
            inner |= {"status": int(head.split()[1]), "response": body.strip()}
        yield inner


def parts(text):
    """What is within the parts of a multipart text, whose first line is its boundary."""
    text = text.strip().replace("\r\n", "\n")
    boundary = text.split("\n", 1)[0]
    inner = [part for part in text.split(boundary) if part.strip() and not part.startswith("--")]
    return [part.strip().split("\n\n", 1)[1] for part in inner]


class Checker:
    """Checks exchanges and collects what is wrong with them."""

    def __init__(self, forbid_output_only=False):
        self.document = discovery.document()
        self.forbid_output_only = forbid_output_only
        self.problems = []
        self.seen = collections.Counter()
        self.routes = []
        for method in methods(self.document["resources"]):
            pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(method["path"]))
            self.routes.append((method["httpMethod"], re.compile(pattern), method))

    def exchange(self, line):
        """Checks one line of a record; of a batch, each of its requests."""
        if line["path"].startswith("/batch"):
            for inner in unbatched(line):
                self.exchange(inner)
            return
        where = f"{line['method']} {line['path']}"
        path, _, query = line["path"].partition("?")
        if not path.startswith(PREFIX):
            if not OUTSIDE.match(path):
                self.problems.append(f"{where}: not a request to compute v1")
            return
        method, parameters = self.route(line["method"], path[len(PREFIX) :])
        if method is None:
            # A request that no document knows: it has to have been refused.
            if line.get("status") != 404:
                self.problems.append(f"{where}: no such method, and not answered by 404")
            else:
                self.problems.append(f"{where}: no such method")
            return
        self.seen[method["id"]] += 1
        problems = []
        self.parameters(method, parameters, query, problems)
        refused = line.get("status") not in (200, None)
        self.request(method, line.get("body") or "", problems)
        if problems and refused and line.get("status") == 400:
            # Asked wrongly and refused: that is what a test of refusals looks like.
            problems = [problem for problem in problems if self.forbid_output_only]
        if line.get("status") is not None:
            self.response(method, line["status"], line.get("response") or "", problems)
        self.problems.extend(f"{where}: {problem}" for problem in problems)

    def route(self, http, path):
        for verb, pattern, method in self.routes:
            found = pattern.fullmatch(path)
            if verb == http and found:
                return method, {name: urllib.parse.unquote(text) for name, text in found.groupdict().items()}
        return None, {}

    def parameters(self, method, bound, query, problems):
        given = [(name, text) for name, text in bound.items()]
        given += urllib.parse.parse_qsl(query, keep_blank_values=True)
        for name, text in given:
            # System parameters may be written with a dollar sign (`$alt`).
            common = self.document["parameters"]
            spec = method["parameters"].get(name) or common.get(name) or common.get(name.removeprefix("$"))
            if spec is None and name.removeprefix("$") == "apiVersion":
                # Not in the document: a system parameter of all of Google's APIs, which the official Rust client sends
                # (https://cloud.google.com/apis/docs/system-parameters).
                if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
                    problems.append(f"parameter {name} is no version: {text}")
                continue
            if spec is None:
                problems.append(f"unknown parameter {name}")
                continue
            if "pattern" in spec and not re.fullmatch(spec["pattern"], text):
                problems.append(f"parameter {name}={text!r} does not match {spec['pattern']}")
            if "enum" in spec and text not in spec["enum"]:
                problems.append(f"parameter {name}={text!r} is none of {spec['enum']}")
            kind = spec.get("type")
            if kind == "boolean" and text not in ("true", "false"):
                problems.append(f"parameter {name}={text!r} is no boolean")
            if kind == "integer" and not self.in_range(text, spec.get("format", "int32")):
                problems.append(f"parameter {name}={text!r} is no {spec.get('format')}")

    def request(self, method, text, problems):
        schema = method.get("request")
        if schema is None:
            if text.strip() not in ("", "{}"):
                problems.append("a body where there is none")
            return
        if not text.strip():
            problems.append("no body")
            return
        try:
            body = json.loads(text)
        except ValueError:
            problems.append("the body is no JSON")
            return
        self.value(schema, body, "request", problems, method["id"])

    def response(self, method, status, text, problems):
        if status == 200:
            schema = method.get("response")
            if schema is None:
                if text.strip() not in ("", "{}"):
                    problems.append("an answer where there is none")
                return
            self.value(schema, json.loads(text), "response", problems, None)
            return
        try:
            error = json.loads(text)["error"]
        except (ValueError, KeyError, TypeError):
            problems.append(f"status {status} without an error")
            return
        if error.get("code") != status or not error.get("message") or set(error) - ERROR_KEYS:
            problems.append(f"not the form of an error: {error}")
        for item in error.get("errors", [None]):
            if not item or set(item) - {"message", "domain", "reason", "location", "locationType"} or not item.get("reason"):
                problems.append(f"not the form of an error's item: {item}")

    def value(self, schema, value, at, problems, method):
        """`method` is the id of the request's method, None in an answer."""
        if "$ref" in schema:
            return self.value(self.document["schemas"][schema["$ref"]], value, at, problems, method)
        if value is None:
            if method is None:
                problems.append(f"{at} is null")
            return None
        kind = schema.get("type")
        if kind == "object":
            return self.object(schema, value, at, problems, method)
        if kind == "array":
            if not isinstance(value, list):
                problems.append(f"{at} is no list: {value!r}")
                return None
            for index, item in enumerate(value):
                self.value(schema["items"], item, f"{at}[{index}]", problems, method)
            return None
        if kind == "string":
            return self.string(schema, value, at, problems)
        if kind == "boolean" and not isinstance(value, bool):
            problems.append(f"{at} is no boolean: {value!r}")
        if kind == "integer" and (isinstance(value, bool) or not isinstance(value, int) or not self.in_range(value, schema.get("format", "int32"))):
            problems.append(f"{at} is no {schema.get('format')}: {value!r}")
        if kind == "number" and (isinstance(value, bool) or not isinstance(value, (int, float))):
            problems.append(f"{at} is no number: {value!r}")
        return None

    def object(self, schema, value, at, problems, method):
        if not isinstance(value, dict):
            problems.append(f"{at} is no object: {value!r}")
            return
        properties = schema.get("properties", {})
        for name, member in value.items():
            spec = properties.get(name) or schema.get("additionalProperties")
            if spec is None:
                problems.append(f"{at}.{name} is unknown")
                continue
            output_only = spec.get("readOnly") or "[Output Only]" in spec.get("description", "")
            if method and self.forbid_output_only and output_only and name != "fingerprint":
                problems.append(f"{at}.{name} is only for answers")
            self.value(spec, member, f"{at}.{name}", problems, method)
            if name in TIMES and not self.is_time(member):
                problems.append(f"{at}.{name} is no RFC 3339 time: {member!r}")
        for name, spec in properties.items():
            if method in spec.get("annotations", {}).get("required", []) and value.get(name) in (None, ""):
                problems.append(f"{at}.{name} is required by {method}")

    def string(self, schema, value, at, problems):
        if not isinstance(value, str):
            problems.append(f"{at} is no text: {value!r}")
            return
        if "enum" in schema and value and value not in schema["enum"]:
            problems.append(f"{at}={value!r} is none of {schema['enum']}")
        if "pattern" in schema and not re.fullmatch(schema["pattern"], value):
            problems.append(f"{at}={value!r} does not match {schema['pattern']}")
        form = schema.get("format")
        if form in RANGES and not (re.fullmatch(r"-?\d+", value) and self.in_range(value, form)):
            problems.append(f"{at}={value!r} is no {form}")
        if form == "byte":
            try:
                base64.urlsafe_b64decode(value.replace("+", "-").replace("/", "_"))
            except ValueError:
                problems.append(f"{at}={value!r} is no base64")

    @staticmethod
    def in_range(value, form):
        low, high = RANGES.get(form, RANGES["int32"])
        try:
            return low <= int(value) <= high
        except (TypeError, ValueError):
            return False

    @staticmethod
    def is_time(text):
        try:
            return datetime.datetime.fromisoformat(str(text).replace("Z", "+00:00")).tzinfo is not None
        except ValueError:
            return False


def check(paths, forbid_output_only=False, each_once=False):
    """Checks records; answers what is wrong and how often each method was seen."""
    checker = Checker(forbid_output_only)
    for _, line in exchanges.Exchanges("gcp", paths, each_once, GENERATED):
        checker.exchange(line)
    return checker.problems, checker.seen


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("records", nargs="+")
    parser.add_argument("--forbid-output-only", action="store_true")
    parser.add_argument("--methods", action="store_true", help="name each method that was seen")
    parser.add_argument("--each-once", action="store_true", help="of exchanges that are alike, the first one")
    arguments = parser.parse_args()
    problems, seen = check(arguments.records, arguments.forbid_output_only, arguments.each_once)
    for problem in problems:
        print(problem)
    if arguments.methods:
        print("\n".join(sorted(seen)))
    print(f"{sum(seen.values())} exchanges with {len(seen)} methods of compute v1, {len(problems)} problems")
    sys.exit(1 if problems or not seen else 0)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Checks a record of exchanges with Azure Resource Manager against the models of the pinned azure-mgmt packages, both ways.

    models_check.py RECORD-OR-FOLDER… [--operations] [--each-once]

The packages are generated from
Microsoft's own API descriptions: their operations say which path and method there is, what its body and its answer are of, and their
models which names these have, of which types, and with which words where words are listed. Every request has to be one that they
know, and what is in its body and its answer has to be in the models, spelled as there, of the type there; an error has to be of
ARM's form. What only answers have may stand in a request: ARM drops it, and who changes what they have read sends it back.

Resource types that no pinned package knows are counted and named: nothing is said about these. Nor is of versions: the packages have
the newest one, and a name that an older version did not have yet is not found out.

The exit status is 1 when anything is wrong, or when there was nothing to check.
"""

import argparse
import collections
import datetime
import importlib
import json
import pathlib
import re
import sys
import typing

# What the checks of all clouds share stands beside their folders.
sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
import exchanges
from describe_models import OPEN

PACKAGES = ("azure.mgmt.network", "azure.mgmt.compute", "azure.mgmt.sql", "azure.mgmt.resource.resources")
# What is asked of whatever has an id.
GENERIC = re.compile(r"\{(scope|resourceId|resourceUri|parentResourcePath)\}")
# Names that real ARM answers and the packages do not have: those of the kept exchanges with it (azure-cli's own test recordings,
# https://github.com/Azure/azure-cli/tree/dev/src/azure-cli/azure/cli/command_modules/network/tests/latest/recordings), and of load balancers
# that people have published.
RULE_FLAGS = {"allowBackendPortConflict": bool, "enableDestinationServiceEndpoint": bool}
UNDOCUMENTED = {
    "InboundNatRulePropertiesFormat": RULE_FLAGS,
    "InboundNatPoolPropertiesFormat": RULE_FLAGS,
    "LoadBalancingRulePropertiesFormat": RULE_FLAGS,
    "LoadBalancerBackendAddressPropertiesFormat": {"provisioningState": str},
    "NetworkInterface": {"kind": str},
    "NetworkInterfacePropertiesFormat": {"allowPort25Out": bool},
    "PrivateEndpointProperties": {"resourceGuid": str},
    "PrivateLinkServiceProperties": {"resourceGuid": str},
}
# What ARM answers where a long operation is asked about
# (https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations).
OPERATION = re.compile(r"/providers/[^/]+/locations/[^/]+/(operations|\w*AsyncOperation|\w*OperationResults)/[^/]+", re.IGNORECASE)
OPERATION_NAMES = {
    "id": str, "resourceId": str, "name": str, "status": str, "percentComplete": (int, float), "startTime": str, "endTime": str,
    "properties": object, "error": dict,
}  # fmt: skip
# The form of an error (https://github.com/microsoft/api-guidelines/blob/vNext/azure/Guidelines.md, and ARM's RPC: common-api-details.md).
ERROR_NAMES = {"code": str, "message": str, "target": str, "details": list, "additionalInfo": list, "innererror": (dict, str)}
# Who is asked for a token, and what an instance says of itself: not ARM.
OUTSIDE = re.compile(r"/[0-9a-z-]+/oauth2/|/[0-9a-z-]+/v2\.0/|/[a-z0-9-]+/\.well-known/|/metadata/|/common/", re.IGNORECASE)


class Operation(typing.NamedTuple):
    """What a package says of one method and path."""

    name: str
    module: object
    method: str
    path: re.Pattern
    body: str | None
    answer: str | None


def operations(package):
    """The operations of a package, from the text of its client: the URL and the method of each request, and the models by name."""
    module = importlib.import_module(package + ".models")
    text = pathlib.Path(importlib.import_module(package + ".operations").__file__).with_name("_operations.py").read_text()
    built = {}
    for part in re.split(r"^def ", text, flags=re.MULTILINE)[1:]:
        url, method = re.search(r'_url = \(?\s*"([^"]+)"', part), re.search(r'HttpRequest\(method="([A-Z]+)"', part)
        # What takes any id says nothing of what is there.
        if part.startswith("build_") and url and method and not GENERIC.search(url[1]):
            built[part[: part.index("(")]] = (method[1], pattern(url[1]))
    found = {}
    for group in re.split(r"^class ", text, flags=re.MULTILINE)[1:]:
        owner = re.match(r"\w+", group)[0]
        for part in re.split(r"^    def ", group, flags=re.MULTILINE)[1:]:
            name = re.match(r"\w+", part)[0]
            # A long operation is begun by one method, and what it ends with stands in another.
            key = (owner, re.sub(r"^_?(begin_)?|_initial$", "", name))
            entry = found.setdefault(key, {})
            if call := re.search(r"= (build_\w+_request)\(", part):
                entry["build"] = call[1]
            if body := re.search(r"Union\[\s*_models\.(\w+),[^\]]*\bIO\[bytes\]\s*\]", part):
                entry["body"] = body[1]
            answers = re.findall(r"(?<![a-z])_deserialize\(\s*((?:List\[)?_models\.\w+\]?),\s*(response\.json|deserialized\.get)", part)
            for kind, source in answers:
                kind = kind.replace("_models.", "")
                entry["answer"] = "page:" + kind[5:-1] if source == "deserialized.get" else kind
    for (owner, name), entry in found.items():
        if entry.get("build") in built:
            method, path = built[entry["build"]]
            yield Operation(f"{owner}.{name}", module, method, path, entry.get("body"), entry.get("answer"))


def pattern(url):
    """A URL's path as it is matched: without case, as ARM does."""
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape("/" + url.strip("/"))), re.IGNORECASE)


class Models:
    """The fields of models, read from their annotations when they are first wanted."""

    def __init__(self):
        self.known = {}

    def fields(self, model):
        """The type of each name of a model, as the wire spells it."""
        if model not in self.known:
            fields = self.known[model] = dict(UNDOCUMENTED.get(model.__name__, {}))
            for base in reversed(model.__mro__):
                scope = dict(vars(sys.modules[base.__module__]))
                # The clients import these for type checkers only.
                scope["_models"] = sys.modules[base.__module__.removesuffix("._models")]
                for attribute, annotation in base.__dict__.get("__annotations__", {}).items():
                    field = vars(base).get(attribute)
                    if hasattr(field, "_rest_name_input"):
                        kind = resolved(annotation, scope)
                        fields[field._rest_name_input or attribute] = kind
        return self.known[model]


def resolved(kind, scope):
    """An annotation whose names are looked up, at any depth; what has parts as its origin and these."""
    while isinstance(kind, (str, typing.ForwardRef)):
        kind = eval(kind if isinstance(kind, str) else kind.__forward_arg__, scope)  # the clients' own annotations
    parts = typing.get_args(kind)
    if not parts or typing.get_origin(kind) is typing.Literal:
        return kind
    return typing.get_origin(kind), tuple(resolved(part, scope) for part in parts)


def is_model(kind):
    return isinstance(kind, type) and hasattr(kind, "_deserialize")


class Checker:
    """Checks exchanges and collects what is wrong with them."""

    def __init__(self):
        self.models = Models()
        self.operations = [operation for package in PACKAGES for operation in operations(package)]
        self.covered = {top_level(operation.path.pattern.replace("\\", "")) for operation in self.operations} - {None}
        self.problems = []
        self.seen = collections.Counter()
        self.uncovered = collections.Counter()
        self.routes = {}

    def exchange(self, line):
        path = line["path"].partition("?")[0].rstrip("/")
        if OUTSIDE.match(path):
            return
        where = f"{line['method']} {path}"
        problems = []
        status, body, answer = line.get("status"), parsed(line.get("body")), parsed(line.get("response"))
        if status is not None and status >= 400:
            # Asked wrongly and refused is what a test of refusals looks like: only the answer counts.
            self.error(answer, problems)
        elif OPERATION.search(path) and line["method"] == "GET":
            self.seen["long operations"] += 1
            self.long_operation(path, status, answer, problems)
        else:
            operation = self.route(line["method"], path)
            if operation is None:
                # A type that a package has and this request of it not is a mistake; of another type it says nothing.
                if top_level(path) in self.covered:
                    problems.append("no such operation")
                else:
                    self.uncovered[f"{line['method']} {kind_of(path)}"] += 1
            else:
                self.seen[operation.name] += 1
                self.both(operation, status, body, answer, problems)
        self.problems.extend(f"{where}: {problem}" for problem in problems)

    def route(self, method, path):
        key = (method, kind_of(path), path.count("/"))
        if key not in self.routes:
            found = (one for one in self.operations if one.method == method and one.path.fullmatch(path))
            # Of those that match, the one that says most of the path.
            self.routes[key] = max(found, key=lambda one: len(one.path.pattern.replace("[^/]+", "")), default=None)
        return self.routes[key]

    def both(self, operation, status, body, answer, problems):
        """What was asked, and what was answered."""
        if body is not None and operation.body is None:
            problems.append("a body where there is none")
        elif operation.body is not None:
            if body is None:
                problems.append("no body")
            else:
                self.value(getattr(operation.module, operation.body), body, "request", problems, asked=True)
        # Where something was accepted, the answer may be empty, and so it is where something is deleted.
        if status in (202, 204, None) or (answer is None and operation.answer is None):
            return
        if operation.answer is None:
            problems.append("an answer where there is none")
        elif operation.answer.startswith("page:"):
            self.page(operation, answer, problems)
        elif operation.answer.startswith("List["):
            self.value((list, (getattr(operation.module, operation.answer[5:-1]),)), answer, "answer", problems)
        else:
            self.value(getattr(operation.module, operation.answer), answer, "answer", problems)

    def page(self, operation, answer, problems):
        if not isinstance(answer, dict) or set(answer) - {"value", "nextLink"} or not isinstance(answer.get("value"), list):
            problems.append(f"not the form of a page: {answer}")
            return
        if not isinstance(answer.get("nextLink", ""), str):
            problems.append(f"nextLink is no text: {answer['nextLink']!r}")
        item = getattr(operation.module, operation.answer.removeprefix("page:"))
        for index, one in enumerate(answer["value"]):
            self.value(item, one, f"answer.value[{index}]", problems)

    def long_operation(self, path, status, answer, problems):
        # What an operation ended with is the resource's own answer, or none: which one its id does not say.
        if "operationresults" in path.lower() or status != 200:
            return
        if not isinstance(answer, dict) or not answer.get("status"):
            problems.append(f"not the form of an operation: {answer}")
            return
        for name, value in answer.items():
            kind = OPERATION_NAMES.get(name)
            if kind is None or not isinstance(value, kind):
                problems.append(f"{name} is not in an operation, or of another type: {value!r}")
        if answer["status"] in ("Failed", "Canceled"):
            self.error(answer, problems)

    def error(self, answer, problems):
        error = answer.get("error") if isinstance(answer, dict) else None
        if not isinstance(error, dict) or not error.get("code") or not error.get("message"):
            problems.append(f"not the form of an error: {answer}")
            return
        for name, value in error.items():
            kind = ERROR_NAMES.get(name)
            if kind is None or (value is not None and not isinstance(value, kind)):
                problems.append(f"{name} is not in an error, or of another type: {value!r}")

    def value(self, kind, value, at, problems, asked=False):
        """Holds a value to a type: `asked` in a request, where nothing may be said with null."""
        origin, parts = kind if isinstance(kind, tuple) else (typing.get_origin(kind), typing.get_args(kind))
        if kind is typing.Any or kind is object:
            return
        if value is None:
            if not asked:
                problems.append(f"{at} is null")
            return
        if origin is typing.Union:
            self.one_of([part for part in parts if part is not type(None)], value, at, problems, asked)
        elif origin is list:
            if not isinstance(value, list):
                problems.append(f"{at} is no list: {value!r}")
                return
            for index, item in enumerate(value):
                self.value(parts[0], item, f"{at}[{index}]", problems, asked)
        elif origin is dict:
            if not isinstance(value, dict):
                problems.append(f"{at} is no object: {value!r}")
                return
            for name, item in value.items():
                self.value(parts[1], item, f"{at}.{name}", problems, asked)
        elif is_model(kind):
            self.model(kind, value, at, problems, asked)
        else:
            self.plain(kind, value, at, problems)

    def one_of(self, parts, value, at, problems, asked):
        """Where a type has listed words, `str` stands beside them for those that come later: here they are what there is."""
        words = [part for part in parts if isinstance(part, type) and hasattr(part, "__members__")]
        parts = words or parts
        tries = []
        for part in parts:
            wrong = []
            self.value(part, value, at, wrong, asked)
            if not wrong:
                return
            tries.append(wrong)
        problems.extend(tries[0])

    def model(self, kind, value, at, problems, asked):
        if not isinstance(value, dict):
            problems.append(f"{at} is no object: {value!r}")
            return
        fields = self.models.fields(kind)
        for name, member in value.items():
            if name in fields:
                self.value(fields[name], member, f"{at}.{name}", problems, asked)
                continue
            spelled = next((known for known in fields if known.lower() == name.lower()), None)
            problems.append(f"{at}.{name} is unknown to {kind.__name__}" + (f": it is spelled {spelled}" if spelled else ""))

    @staticmethod
    def plain(kind, value, at, problems):
        if typing.get_origin(kind) is typing.Literal:
            if value not in typing.get_args(kind):
                problems.append(f"{at}={value!r} is none of {typing.get_args(kind)}")
        elif hasattr(kind, "__members__") and kind.__name__ in OPEN:
            if not isinstance(value, str):
                problems.append(f"{at} is no text: {value!r}")
        elif hasattr(kind, "__members__"):
            words = [member.value for member in kind]
            if value not in words:
                problems.append(f"{at}={value!r} is none of {words}")
        elif kind is str:
            if not isinstance(value, str):
                problems.append(f"{at} is no text: {value!r}")
        elif kind is bool:
            if not isinstance(value, bool):
                problems.append(f"{at} is no boolean: {value!r}")
        elif kind in (int, float):
            if isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else int):
                problems.append(f"{at} is no number: {value!r}")
        elif kind is datetime.datetime:
            if not is_time(value):
                problems.append(f"{at} is no time: {value!r}")
        elif not isinstance(value, str):
            problems.append(f"{at} is no text of a {kind}: {value!r}")


def is_time(text):
    try:
        # Python 3.11 reads six digits of a second's parts, and ARM writes seven.
        datetime.datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", str(text)).replace("Z", "+00:00"))
    except ValueError:
        return False
    return True


def parsed(text):
    """A body as JSON; nothing where there is none."""
    if text is None or isinstance(text, (dict, list)):
        return text
    return json.loads(text) if text.strip() else None


def top_level(path):
    """The provider and the first part of the type, in lower case: `microsoft.network/loadbalancers`; nothing where there is no provider."""
    found = re.search(r"/providers/([^/\[]+/[^/\[]+)", path, re.IGNORECASE)
    return found and found[1].lower()


def kind_of(path):
    """The type of what a path is about: its provider and every second part after it."""
    provider, separator, rest = path.rpartition("/providers/")
    parts = (rest if separator else path).strip("/").split("/")
    return "/".join([parts[0], *parts[1::2]]).lower() if separator else "/".join(parts[0::2]).lower()


def check(paths, each_once=False):
    """Checks records; the checker has what is wrong and what was seen."""
    checker = Checker()
    for _, line in exchanges.Exchanges("azure", paths, each_once):
        checker.exchange(line)
    return checker


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("records", nargs="+")
    parser.add_argument("--operations", action="store_true", help="name each operation that was seen")
    parser.add_argument("--each-once", action="store_true", help="of exchanges that are alike, the first one")
    arguments = parser.parse_args()
    checker = check(arguments.records, arguments.each_once)
    for problem in checker.problems:
        print(problem)
    if arguments.operations:
        print("\n".join(sorted(checker.seen)))
    for kind, count in sorted(checker.uncovered.items()):
        print(f"NOT COVERED by the pinned packages, nothing is said about it: {kind} ({count} exchanges)")
    seen = sum(checker.seen.values())
    print(f"{seen} exchanges of {len(checker.seen)} operations of ARM, {len(checker.problems)} problems")
    sys.exit(1 if checker.problems or not seen else 0)


if __name__ == "__main__":
    main()

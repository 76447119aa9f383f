"""Holds a record of exchanges to AWS's published service models, by botocore.

    botocore_check.py [--each-once] RECORD-OR-FOLDER…

With `--each-once` what is alike is checked once. Of every AWS exchange,

- the request is decoded by the model: a parameter that the model does not have, a wrong type, a value that is not in an
  enumeration (compared without case, as the wire does) is a failure; botocore's own validator must accept the
  parameters; and botocore's serializer must turn them back into the same form;
- the answer is parsed by botocore's own parser; and every element of its XML must be in the published output shape,
  with the right type and an enumeration's value. An error must have a code and a message, and for ELBv2
  and Auto Scaling a code that the action documents.

Prints a JSON summary; the exit status is 1 when there are failures, and when there was nothing to check.
"""

import dataclasses
import datetime
import functools
import json
import pathlib
import re
import sys
import urllib.parse
import xml.etree.ElementTree

import botocore.parsers
import botocore.serialize
import botocore.session
import botocore.validate
import dateutil.parser

# What the checks of all clouds share stands beside their folders.
sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
import exchanges

SERVICES = {"2016-11-15": "ec2", "2015-12-01": "elbv2", "2011-01-01": "autoscaling", "2011-06-15": "sts"}
# Errors that any action of a Query service can answer ("Common errors" of the API references).
COMMON = {
    "AccessDenied", "IncompleteSignature", "InternalFailure", "InvalidAction", "InvalidClientTokenId", "MalformedInput",
    "MissingAuthenticationToken", "OptInRequired", "RequestExpired", "ServiceUnavailable", "Throttling",
    "ThrottlingException", "ValidationError",
}
# How the local cloud ends the message of an error that a test named itself: its code is the test's, not the local cloud's.
ON_DEMAND = ": asked for by a fault specification"


@dataclasses.dataclass
class Report:
    """What was checked, what was wrong with it, and how many more were alike and left out."""

    exchanges: int = 0
    unanswered: int = 0
    errors: int = 0
    actions: dict = dataclasses.field(default_factory=dict)
    failures: list = dataclasses.field(default_factory=list)
    repeated: int = 0


@functools.cache
def models():
    """The session whose loader has the models: read once, for all records."""
    return botocore.session.get_session()


def check(paths, each_once=False):
    """Checks records."""
    report, read = Report(), exchanges.Exchanges("aws", paths, each_once)
    session = models()
    for place, exchange in read:
        report.exchanges += 1
        found = list(check_exchange(session, exchange, report))
        report.failures += [f"{place}: {exchange['action']}: {failure}" for failure in found]
    report.repeated = read.repeated
    return report


def check_exchange(session, exchange, report):
    """The failures of one exchange."""
    form = urllib.parse.parse_qsl(exchange["body"], keep_blank_values=True, strict_parsing=True)
    fields = dict(form)
    if len(fields) != len(form):
        yield "a parameter stands twice"
    action, version = fields.pop("Action", None), fields.pop("Version", None)
    report.actions[action] = report.actions.get(action, 0) + 1
    if version not in SERVICES:
        yield f"unknown API version {version}"
        return
    model = session.get_service_model(SERVICES[version])
    if action not in model.operation_names:
        yield f"{SERVICES[version]} has no such action"
        return
    operation = model.operation_model(action)
    yield from check_request(model, operation, fields)
    if exchange["status"] is None:
        report.unanswered += 1
        return
    if exchange["status"] >= 300:
        report.errors += 1
    yield from check_answer(model, operation, exchange["status"], exchange["response"])


def check_request(model, operation, fields):
    """The failures of a request."""
    failures = []
    tree = nest(fields)
    if operation.input_shape is None:
        if fields:
            yield f"parameters for an action without any: {sorted(fields)}"
        return
    parameters = Decoder(model, failures).structure(operation.input_shape, tree, "")
    yield from failures
    if failures:
        return
    errors = botocore.validate.ParamValidator().validate(parameters, operation.input_shape)
    if errors.has_errors():
        yield f"botocore refuses the request: {errors.generate_report()}"
        return
    serializer = botocore.serialize.create_serializer(model.metadata["protocol"], include_validation=False)
    again = serializer.serialize_to_request(parameters, operation)["body"]
    again = {key: text(value) for key, value in again.items() if key not in ("Action", "Version")}
    # botocore leaves empty lists out for EC2; both ways say nothing.
    sent = {key: value for key, value in fields.items() if value != ""}
    again = {key: value for key, value in again.items() if value != ""}
    if again != sent:
        yield f"botocore would have sent {again}, not {sent}"


def text(value):
    """A form value as it goes over the wire."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def nest(fields):
    """`A.1.B=x` as a tree of dicts; a leaf's value is under the empty key."""
    root = {}
    for key, value in fields.items():
        node = root
        for part in key.split("."):
            node = node.setdefault(part, {})
        node[""] = value
    return root


class Decoder:
    """Turns a form's tree into parameters by the model, and notes what does not fit."""

    def __init__(self, model, failures):
        self.protocol, self.failures = model.metadata["protocol"], failures

    def wire(self, name, shape):
        extra = shape.serialization
        if self.protocol == "ec2":
            if "queryName" in extra:
                return extra["queryName"]
            located = extra.get("name", name)
            return located[0].upper() + located[1:]
        return extra.get("name", name)

    def fail(self, path, why):
        self.failures.append(f"request: {path or '(top)'}: {why}")

    def value(self, shape, node, path):
        if shape.type_name == "structure":
            return self.structure(shape, node, path)
        if shape.type_name == "list":
            return self.list(shape, node, path)
        if set(node) != {""}:
            self.fail(path, f"a {shape.type_name} cannot have parts {sorted(set(node) - {''})}")
            return None
        return self.scalar(shape, node[""], path)

    def structure(self, shape, node, path):
        names = {self.wire(name, member): name for name, member in shape.members.items()}
        out = {}
        for key, child in node.items():
            here = f"{path}.{key}" if path else key
            if key not in names:
                self.fail(here, "is not in the model")
                continue
            out[names[key]] = self.value(shape.members[names[key]], child, here)
        return out

    def list(self, shape, node, path):
        if self.protocol != "ec2" and not shape.serialization.get("flattened"):
            if set(node) == {""} and node[""] == "":
                return []
            member = shape.member.serialization.get("name", "member")
            if set(node) != {member}:
                self.fail(path, f"a list has parts {sorted(node)}, not `{member}`")
                return []
            node, path = node[member], f"{path}.{member}"
        if sorted(node) != sorted(str(n) for n in range(1, len(node) + 1)):
            self.fail(path, f"a list is numbered {sorted(node)}")
            return []
        return [self.value(shape.member, node[str(n)], f"{path}.{n}") for n in range(1, len(node) + 1)]

    def scalar(self, shape, value, path):
        if shape.type_name == "boolean":
            if value not in ("true", "false"):
                self.fail(path, f"{value!r} is not a boolean")
            return value == "true"
        if shape.type_name in ("integer", "long"):
            if not re.fullmatch(r"-?\d+", value):
                self.fail(path, f"{value!r} is not a number")
                return 0
            return int(value)
        if shape.type_name == "timestamp":
            return dateutil.parser.isoparse(value)
        if in_enumeration(shape, value) is False:
            self.fail(path, f"{value!r} is not one of {shown(shape.enum)}")
        return value


def in_enumeration(shape, value):
    """Whether a value is in the shape's enumeration, without case; None where there is no enumeration."""
    values = getattr(shape, "enum", None)
    return value.lower() in [known.lower() for known in values] if values else None


def shown(enumeration):
    """An enumeration in a message; EC2's instance types are more than a thousand."""
    return enumeration if len(enumeration) <= 50 else f"{len(enumeration)} values"


def check_answer(model, operation, status, body):
    """The failures of an answer."""
    parser = botocore.parsers.create_parser(model.metadata["protocol"])
    raw = {"status_code": status, "headers": {}, "body": body.encode()}
    try:
        parsed = parser.parse(raw, operation.output_shape)
    except Exception as error:  # whatever the parser stumbles over is the answer's failure
        yield f"botocore cannot parse the answer: {error}"
        return
    if not parsed.get("ResponseMetadata", {}).get("RequestId"):
        yield "the answer has no request id"
    if status >= 300:
        yield from check_error(model, operation, parsed.get("Error", {}))
        return
    if operation.output_shape is None:
        return
    root = strip(xml.etree.ElementTree.fromstring(body))
    if root.tag != f"{operation.name}Response":
        yield f"the answer is a {root.tag}"
    wrapper = operation.output_shape.serialization.get("resultWrapper")
    children = list(root)
    if wrapper:
        unexpected = [child.tag for child in children if child.tag not in (wrapper, "ResponseMetadata")]
        if unexpected:
            yield f"beside the result: {unexpected}"
        children = [inner for child in children if child.tag == wrapper for inner in child]
    else:
        children = [child for child in children if child.tag != "requestId"]
    yield from structure(operation.output_shape, children, operation.name)


def check_error(model, operation, error):
    code = error.get("Code")
    if not code or not error.get("Message"):
        yield f"an error without code or message: {error}"
        return
    if error["Message"] == f"{code}{ON_DEMAND}":
        return
    if model.service_name in ("elbv2", "autoscaling"):
        known = {shape.metadata.get("error", {}).get("code", shape.name) for shape in operation.error_shapes}
        # DescribeAccountLimits and the deletes document fewer errors than they answer; not-found is common to all.
        if code not in known | COMMON and not code.endswith("NotFound"):
            yield f"{code} is not an error of this action: {sorted(known)}"


def strip(element):
    """The same tree without namespaces."""
    for each in element.iter():
        each.tag = each.tag.split("}")[-1]
    return element


def structure(shape, elements, path):
    """The failures of a structure's elements: unknown, twice, or wrong in themselves."""
    names = {member.serialization.get("name", name): name for name, member in shape.members.items()}
    seen = set()
    for element in elements:
        if element.tag not in names:
            yield f"answer: {path}.{element.tag} is not in the model"
            continue
        name = names[element.tag]
        if name in seen and not shape.members[name].serialization.get("flattened"):
            yield f"answer: {path}.{name} stands twice"
        seen.add(name)
        yield from value(shape.members[name], element, f"{path}.{name}")
    for missing in set(shape.required_members) - seen:
        yield f"answer: {path}.{missing} is required"


def value(shape, element, path):
    """The failures of one value."""
    kind, content = shape.type_name, element.text or ""
    if kind == "structure":
        yield from structure(shape, list(element), path)
    elif kind == "list":
        member = shape.member.serialization.get("name", "member")
        for number, item in enumerate(element):
            if item.tag != member:
                yield f"answer: {path} holds <{item.tag}>, not <{member}>"
            yield from value(shape.member, item, f"{path}[{number}]")
    elif len(element):
        yield f"answer: {path} is a {kind} and has elements"
    elif kind == "boolean" and content not in ("true", "false"):
        yield f"answer: {path} = {content!r} is not a boolean"
    elif kind in ("integer", "long") and not re.fullmatch(r"-?\d+", content):
        yield f"answer: {path} = {content!r} is not a number"
    elif kind == "timestamp" and not is_time(content):
        yield f"answer: {path} = {content!r} is not a time"
    elif kind == "string" and in_enumeration(shape, content) is False:
        yield f"answer: {path} = {content!r} is not one of {shown(shape.enum)}"


def is_time(content):
    try:
        return dateutil.parser.isoparse(content).utcoffset() == datetime.timedelta(0)
    except ValueError:
        return False


def main():
    paths = sys.argv[1:]
    each_once = paths[:1] == ["--each-once"]
    report = check(paths[each_once:], each_once)
    for failure in report.failures:
        print(failure, file=sys.stderr)
    summary = dataclasses.asdict(report)
    summary["failures"] = len(report.failures)
    print(json.dumps(summary, sort_keys=True))
    return 1 if report.failures or not report.exchanges else 0


if __name__ == "__main__":
    sys.exit(main())

"""The checker finds what is wrong: each broken exchange here is a right one with one thing changed."""

import copy
import json
import pathlib
import tempfile
import unittest

import discovery_check
import extract_api

BASE = "/compute/v1/projects/acme-data/regions/us-east4"
GOOD = {
    "cloud": "gcp",
    "method": "POST",
    "path": f"{BASE}/serviceAttachments?requestId=7f8cbb1c-5f33-4a2b-8ad6-1b7c2f0f1b11",
    "body": {
        "name": "sa",
        "connectionPreference": "ACCEPT_MANUAL",
        "consumerAcceptLists": [{"projectIdOrNum": "fivetran-donkeys", "connectionLimit": 2}],
        "natSubnets": [],
    },
    "status": 200,
    "response": {
        "kind": "compute#operation",
        "id": "1234567890123456789",
        "status": "RUNNING",
        "progress": 0,
        "insertTime": "2026-01-05T01:00:00.000-08:00",
    },
}
REFUSED = {"error": {"code": 404, "message": "no", "errors": [{"message": "no", "domain": "global", "reason": "notFound"}]}}


def problems(line, **options):
    line = copy.deepcopy(line)
    for side in ("body", "response"):
        if not isinstance(line[side], (str, type(None))):
            line[side] = json.dumps(line[side])
    with tempfile.TemporaryDirectory() as folder:
        record = pathlib.Path(folder) / "record"
        record.write_text(json.dumps(line) + "\n")
        return discovery_check.check([record], **options)[0]


def changed(*steps, to):
    line = copy.deepcopy(GOOD)
    place = line
    for step in steps[:-1]:
        place = place[step]
    place[steps[-1]] = to
    return line


class Check(unittest.TestCase):
    def test_a_right_exchange_passes(self):
        self.assertEqual(problems(GOOD), [])
        self.assertEqual(problems(GOOD | {"status": None, "response": None}), [])
        self.assertEqual(problems(GOOD | {"status": 404, "response": REFUSED}), [])

    def test_each_wrong_thing_is_found(self):
        entry = ("body", "consumerAcceptLists", 0)
        for line in [
            changed("path", to="/compute/v1/projects/acme-data/regions/us-east4/serviceAttachment"),
            changed("path", to="/compute/beta/projects/acme-data/regions/us-east4/serviceAttachments"),
            changed("path", to="/compute/v1/projects/acme_data/regions/us-east4/serviceAttachments"),
            changed("path", to=f"{BASE}/serviceAttachments?color=red"),
            changed("method", to="PUT"),
            changed("body", "natSubnet", to=[]),
            changed("body", "name", to="Upper"),
            changed("body", "name", to=None),
            changed("body", "connectionPreference", to="YES"),
            changed("body", "enableProxyProtocol", to="true"),
            changed("body", "natSubnets", to="x"),
            changed(*entry, "connectionLimit", to="2"),
            changed(*entry, "connectionLimit", to=-1),
            changed(*entry, "project", to="x"),
            changed("body", to=""),
            changed("body", to="{"),
            changed("response", "id", to=1),
            changed("response", "id", to="x"),
            changed("response", "status", to="WORKING"),
            changed("response", "progress", to="0"),
            changed("response", "speed", to=1),
            changed("response", "insertTime", to="yesterday"),
            changed("response", "error", to={"errors": [{"kode": "x"}]}),
            changed("response", "name", to=None),
            GOOD | {"status": 404, "response": {"error": {"code": 400, "message": "no"}}},
            GOOD | {"status": 500, "response": "oops"},
        ]:
            self.assertNotEqual(problems(line), [], line)

    def test_batches_are_looked_into(self):
        def batch(name, kind):
            asked = f"--b\r\nContent-ID: <1>\r\n\r\nGET /compute/v1/projects/{name} HTTP/1.1\r\nHost: h\r\n\r\n\r\n--b--"
            body = json.dumps({"kind": kind})
            answered = f"--c\r\nContent-ID: <response-1>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{body}\r\n--c--"
            return GOOD | {"path": "/batch/compute/v1", "body": asked, "response": answered}

        self.assertEqual(problems(batch("acme-data", "compute#project")), [])
        self.assertNotEqual(problems(batch("acme_data", "compute#project")), [])
        self.assertNotEqual(problems(batch("acme-data", 1)), [])

    def test_output_only_fields_are_for_answers(self):
        line = changed("body", "selfLink", to="x")
        self.assertEqual(problems(line), [])
        self.assertNotEqual(problems(line, forbid_output_only=True), [])

    def test_what_is_alike_is_checked_once_and_nothing_else_is_left_out(self):
        wrong = changed("body", "connectionPreference", to="YES")
        other = changed("response", "id", to="9876543210987654321")
        with tempfile.TemporaryDirectory() as folder:
            for number, line in enumerate([GOOD, other, wrong, wrong]):
                text = {side: json.dumps(line[side]) for side in ("body", "response")}
                (pathlib.Path(folder) / f"{number}.jsonl").write_text(json.dumps(line | text) + "\n")
            found, seen = discovery_check.check([folder], each_once=True)
            self.assertEqual((len(found), sum(seen.values())), (1, 2))
            found, seen = discovery_check.check([folder])
            self.assertEqual((len(found), sum(seen.values())), (2, 4))

    def test_no_value_of_an_enumeration_is_taken_for_a_generated_id(self):
        def enumerated(part):
            inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else []
            own = part.get("enum", []) if isinstance(part, dict) else []
            return [value for value in own if isinstance(value, str)] + [value for one in inner for value in enumerated(one)]

        values = enumerated(extract_api.discovery.document())
        self.assertGreater(len(values), 1000)
        self.assertEqual([value for value in values if discovery_check.GENERATED.search(value)], [])

    def test_the_sandbox_description_is_current(self):
        extracted = json.loads(extract_api.OUT.read_text())
        self.assertEqual(extracted, json.loads(json.dumps(extract_api.extract(extract_api.discovery.document()))))


if __name__ == "__main__":
    unittest.main()

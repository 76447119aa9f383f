"""The checker finds what is wrong in a record: a check that cannot fail proves nothing."""

import json

import pytest

import botocore_check
import exchanges
import extract_model

GOOD_BODY = "Action=DescribeVpcs&Version=2016-11-15&Filter.1.Name=vpc-id&Filter.1.Value.1=vpc-1"
GOOD_ANSWER = (
    '<DescribeVpcsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><vpcSet><item>'
    "<vpcId>vpc-1</vpcId><isDefault>false</isDefault><state>available</state></item></vpcSet></DescribeVpcsResponse>"
)


def failures(tmp_path, body=GOOD_BODY, answer=GOOD_ANSWER, status=200):
    action = body.split("&")[0].removeprefix("Action=")
    line = {"cloud": "aws", "action": action, "body": body, "status": status, "response": answer}
    record = tmp_path / "record.jsonl"
    record.write_text(json.dumps(line) + "\n")
    return botocore_check.check([record]).failures


def test_a_good_exchange(tmp_path):
    assert failures(tmp_path) == []


@pytest.mark.parametrize(
    "body, part",
    [
        (GOOD_BODY + "&Colour=red", "Colour: is not in the model"),
        (GOOD_BODY.replace("Filter.1", "Filter.2"), "numbered"),
        (GOOD_BODY + "&MaxResults=x", "is not a number"),
        (GOOD_BODY + "&DryRun=yes", "is not a boolean"),
        (GOOD_BODY.replace("2016-11-15", "2015-01-01"), "unknown API version"),
        (GOOD_BODY.replace("DescribeVpcs", "DescribeMoons"), "no such action"),
        ("Action=CreateSecurityGroup&Version=2016-11-15&GroupName=x", "botocore refuses"),
        ("Action=DescribeTags&Version=2015-12-01&ResourceArns.1=a", "not `member`"),
        ("Action=CreateVpcEndpoint&Version=2016-11-15&VpcId=v&VpcEndpointType=Sideways", "is not one of"),
    ],
)
def test_bad_requests(tmp_path, body, part):
    found = failures(tmp_path, body=body, status=500, answer=ERROR)
    assert any(part in failure for failure in found), found


ERROR = "<Response><Errors><Error><Code>c</Code><Message>m</Message></Error></Errors><RequestID>r</RequestID></Response>"


@pytest.mark.parametrize(
    "old, new, part",
    [
        ("<vpcId>vpc-1</vpcId>", "<vpc>1</vpc>", "is not in the model"),
        ("false", "no", "is not a boolean"),
        ("available", "splendid", "is not one of"),
        ("item>", "member>", "not <item>"),
        ("<requestId>r</requestId>", "", "no request id"),
        ("</vpcSet>", "", "cannot parse"),
        ("<vpcId>", "<vpcId>twice</vpcId><vpcId>", "stands twice"),
    ],
)
def test_bad_answers(tmp_path, old, new, part):
    assert old in GOOD_ANSWER
    found = failures(tmp_path, answer=GOOD_ANSWER.replace(old, new))
    assert any(part in failure for failure in found), found


def test_errors(tmp_path):
    assert failures(tmp_path, answer=ERROR, status=400) == []
    assert failures(tmp_path, answer=ERROR.replace("<Code>c</Code>", ""), status=400)
    body = "Action=DescribeLoadBalancers&Version=2015-12-01"
    elb = (
        '<ErrorResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"><Error><Type>Sender</Type>'
        "<Code>{}</Code><Message>m</Message></Error><RequestId>r</RequestId></ErrorResponse>"
    )
    assert failures(tmp_path, body=body, answer=elb.format("LoadBalancerNotFound"), status=400) == []
    assert failures(tmp_path, body=body, answer=elb.format("Surprise"), status=400)


def test_each_once_leaves_out_what_is_generated_alone(tmp_path):
    said = [
        (GOOD_BODY, GOOD_ANSWER),
        (GOOD_BODY.replace("=vpc-1", "=vpc-0123456789abcdef0"), GOOD_ANSWER.replace("vpc-1", "vpc-0123456789abcdef0")),
        (GOOD_BODY.replace("=vpc-1", "=vpc-0fedcba9876543210"), GOOD_ANSWER.replace("vpc-1", "vpc-0fedcba9876543210")),
        (GOOD_BODY.replace("Filter.1", "Filter.2"), GOOD_ANSWER),
        (GOOD_BODY + "&MaxResults=100", GOOD_ANSWER),
        (GOOD_BODY + "&MaxResult=100", GOOD_ANSWER),
        (GOOD_BODY, GOOD_ANSWER.replace("<state>available", "<state>available1")),
        (GOOD_BODY, GOOD_ANSWER.replace("vpcId", "vpcId2")),
    ]
    lines = [{"cloud": "aws", "action": "a", "body": body, "status": 200, "response": answer} for body, answer in said]
    record = tmp_path / "record.jsonl"
    record.write_text("".join(json.dumps(line) + "\n" for line in lines))
    report = botocore_check.check([record], each_once=True)
    assert (report.exchanges, report.repeated) == (7, 1)
    assert [failure.split(": ")[0].rsplit(":")[-1] for failure in report.failures] == ["4", "6", "7", "8"]


def test_no_value_of_an_enumeration_is_taken_for_a_generated_id():
    session = botocore_check.models()
    for service in botocore_check.SERVICES.values():
        model = session.get_service_model(service)
        values = [value for name in model.shape_names for value in getattr(model.shape_for(name), "enum", None) or []]
        taken = [value for value in values if exchanges.GENERATED.search(value)]
        assert values or service == "sts", service
        assert taken == []


def test_the_sandboxs_model_is_that_of_this_botocore():
    assert extract_model.TARGET.read_text(encoding="utf-8") == extract_model.current()

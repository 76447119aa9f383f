"""Credentials on loopback, and what a client sees of faults."""

import datetime
import unittest
import uuid

import google.auth.transport.requests
import google.oauth2.credentials
import google.oauth2.service_account
import googleapiclient.errors
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

import discovery_check
from sandbox import PROJECT, OperationFailed, Sandbox, finish

BODY = {"name": "n", "autoCreateSubnetworks": False}


class Credentials(unittest.TestCase):
    def setUp(self):
        self.sandbox = Sandbox()
        self.addCleanup(self.sandbox.close)

    def test_a_service_account_gets_a_token_here(self):
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        info = {
            "type": "service_account",
            "client_email": "privnet@acme-data.iam.gserviceaccount.com",
            "private_key": pem,
            "private_key_id": "1",
            "token_uri": f"{self.sandbox.url}/token",
        }
        scopes = ["https://www.googleapis.com/auth/compute"]
        credentials = google.oauth2.service_account.Credentials.from_service_account_info(info, scopes=scopes)
        credentials.refresh(google.auth.transport.requests.Request())
        self.assertGreater(credentials.expiry, datetime.datetime.now(datetime.UTC).replace(tzinfo=None))
        client = self.sandbox.client(credentials)
        self.assertEqual(client.projects().get(project=PROJECT).execute()["name"], PROJECT)
        record = self.sandbox.record.read_text()
        self.assertNotIn(credentials.token, record)
        self.assertNotIn("PRIVATE KEY", record)

    def test_any_bearer_token_will_do(self):
        client = self.sandbox.client(google.oauth2.credentials.Credentials("canary-token"))
        self.assertEqual(client.projects().get(project=PROJECT).execute()["name"], PROJECT)
        self.assertNotIn("canary-token", self.sandbox.record.read_text())


class Faults(unittest.TestCase):
    def sandbox(self, *faults):
        sandbox = Sandbox(faults=faults)
        self.addCleanup(sandbox.close)
        return sandbox

    def test_a_lost_answer_is_found_again_by_its_request_id(self):
        # httplib2 sends a POST once more when the connection closes without an answer: with a request id that is the
        # same operation, without one it is a conflict with oneself.
        sandbox = self.sandbox("gcp:networks.insert:1:lost", "gcp:networks.insert:3:lost")
        client = sandbox.client()
        request_id = str(uuid.uuid4())
        finish(client, client.networks().insert(project=PROJECT, body=BODY, requestId=request_id))
        sent = [line["status"] for line in sandbox.lines() if line["action"] == "networks.insert"]
        self.assertEqual(sent, [None, 200])
        operations = client.globalOperations().list(project=PROJECT).execute()["items"]
        self.assertEqual([o["clientOperationId"] for o in operations], [request_id])
        with self.assertRaises(googleapiclient.errors.HttpError) as refused:
            client.networks().insert(project=PROJECT, body=BODY | {"name": "m"}).execute()
        self.assertEqual(refused.exception.status_code, 409)

    def test_an_operation_can_be_made_to_fail(self):
        sandbox = self.sandbox("gcp:networks.insert:1:code=QUOTA_EXCEEDED")
        client = sandbox.client()
        with self.assertRaises(OperationFailed) as failed:
            finish(client, client.networks().insert(project=PROJECT, body=BODY))
        self.assertEqual(failed.exception.code, "QUOTA_EXCEEDED")
        finish(client, client.networks().insert(project=PROJECT, body=BODY))
        self.assertEqual(discovery_check.check([sandbox.record])[0], [])


if __name__ == "__main__":
    unittest.main()

"""What `privnet sandbox serve` prints is taken literally, by a shell and by Python: with it the official client reaches the sandbox, and no
credentials of the user's are found."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

from sandbox import PROJECT, ROOT

PRIVNET = pathlib.Path(os.environ.get("PRIVNET_PROGRAMS") or ROOT / "target/debug") / "privnet"
# What `gcloud auth application-default login` leaves in the home folder.
USER = {"type": "authorized_user", "client_id": "real", "client_secret": "real", "refresh_token": "real"}


class Printed(unittest.TestCase):
    def setUp(self):
        self.assertTrue(PRIVNET.exists(), f"there is no {PRIVNET}: build it, or set PRIVNET_PROGRAMS")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        config = self.folder / ".config/gcloud"
        config.mkdir(parents=True)
        (config / "application_default_credentials.json").write_text(json.dumps(USER))
        command = [PRIVNET, "sandbox", "serve", "--dir", "the world"]
        serving = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.PIPE, text=True)
        self.addCleanup(serving.stdout.close)
        self.addCleanup(serving.wait, 30)
        self.addCleanup(serving.terminate)
        lines = []
        for line in serving.stdout:
            lines.append(line.rstrip("\n"))
            if line.startswith("# DNS"):
                break
        begin = next(at for at, line in enumerate(lines) if line.startswith("# gcp"))
        self.section = lines[begin : lines.index("", begin)]
        self.code = "\n".join(line[4:] for line in self.section if line.startswith("#   "))

    def python(self, code):
        """Runs Python in a shell that knows nothing but what is printed."""
        script = "\n".join([*self.section, f'exec "{sys.executable}" -W ignore -'])
        # Nothing but loopback is reached: whoever asks Google fails at once. httplib2 alone knows no proxies, not even to leave them out.
        proxy = {"HTTPS_PROXY": "http://127.0.0.1:1"}
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder)} | proxy
        done = subprocess.run(
            ["bash", "-c", script], env=environment, input=code, capture_output=True, text=True, timeout=120, check=False
        )
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])
        return done.stdout

    def test_the_official_client_goes_by_it(self):
        self.assertEqual(self.code.count("\n"), 1, self.code)
        said = self.python(f'{self.code}\nprint(compute.projects().get(project="{PROJECT}").execute()["name"])\n')
        self.assertEqual(said.strip(), PROJECT)

    def test_the_default_credentials_are_the_sandboxs(self):
        said = self.python(
            "import google.auth, google.auth.transport.requests\n"
            "credentials, project = google.auth.default(scopes=['https://www.googleapis.com/auth/cloud-platform'])\n"
            "credentials.refresh(google.auth.transport.requests.Request())\n"
            "print(project, credentials.token)\n"
        )
        self.assertTrue(said.startswith(f"{PROJECT} ya29.sandbox-"), said)


if __name__ == "__main__":
    unittest.main()

"""The sandbox's table of request models is what the pinned clients say."""

import subprocess
import sys

from arm_sandbox import ROOT


def test_the_table_is_up_to_date():
    script = ROOT / "integration-tests" / "azure" / "describe_models.py"
    fresh = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True).stdout
    kept = (ROOT / "crates" / "privnet-sandbox" / "src" / "azure" / "models.json").read_text()
    assert fresh == kept, "run describe_models.py again"

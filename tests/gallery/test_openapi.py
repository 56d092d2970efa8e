"""The OpenAPI description, checked against the API by schemathesis."""

import re
import subprocess
import sys
from pathlib import Path

# benchmarks/gallery_fuzz.py generates many more.
EXAMPLES = 4
CONFIG = Path(__file__).parent / "schemathesis.toml"


def test_the_api_matches_its_description(address, tmp_path):
    command = Path(sys.executable).parent / "schemathesis"
    options = ["--continue-on-failure", "--no-color", "--generation-database=none", "--seed=1"]
    options.append(f"--max-examples={EXAMPLES}")
    result = subprocess.run(
        [command, f"--config-file={CONFIG}", "run", f"{address}/openapi.json", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert result.returncode == 0, result.stdout
    passed = re.search(r"(\d+) generated, \1 passed", result.stdout)
    assert passed and int(passed[1]) > 100, result.stdout
    assert "Tested: 14" in result.stdout


def test_every_route_of_the_api_is_described(app):
    paths = {
        str(rule)
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith(("api.", "studio_api.")) and str(rule) != "/openapi.json"
    }
    assert set(app.test_client().get("/openapi.json").json["paths"]) == paths

"""Property-based test of the API against its OpenAPI description.

python benchmarks/gallery_fuzz.py [EXAMPLES] [--url http://localhost:8000] [--paths REGEX]
    Runs schemathesis on a running gallery, by default on all routes with 400 examples each. Fails
    on any 5xx status and on any response that /openapi.json does not describe.
"""

import argparse
import subprocess
import sys
from pathlib import Path

CONFIG = Path(__file__).parents[1] / "tests" / "gallery" / "schemathesis.toml"


def main() -> None:
    """Parse the command line and run schemathesis."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("examples", nargs="?", type=int, default=400)
    parser.add_argument("--url", default="http://localhost:8000")
    parser.add_argument("--paths", default=".")
    options = parser.parse_args()
    command = [Path(sys.executable).parent / "schemathesis", f"--config-file={CONFIG}"]
    command += ["run", f"{options.url}/openapi.json", f"--max-examples={options.examples}"]
    command.append(f"--include-path-regex={options.paths}")
    command += ["--generation-database=none", "--continue-on-failure"]
    raise SystemExit(subprocess.run(command).returncode)


if __name__ == "__main__":
    main()

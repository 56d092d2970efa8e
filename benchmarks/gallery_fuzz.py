"""Does the API do what its description says, however it is asked?

python benchmarks/gallery_fuzz.py [EXAMPLES] [--url http://localhost:8000]
    Lets schemathesis ask a running gallery, some hundred examples of each address by default, and
    fails at any 5xx and at any answer that /openapi.json does not describe.
"""

import argparse
import subprocess
import sys
from pathlib import Path

CONFIG = Path(__file__).parents[1] / "tests" / "gallery" / "schemathesis.toml"


def main() -> None:
    """Read the command line and run it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("examples", nargs="?", type=int, default=400)
    parser.add_argument("--url", default="http://localhost:8000")
    options = parser.parse_args()
    command = Path(sys.executable).parent / "schemathesis"
    more = [f"--max-examples={options.examples}", "--generation-database=none"]
    address = f"{options.url}/openapi.json"
    arguments = [command, f"--config-file={CONFIG}", "run", address, *more, "--continue-on-failure"]
    raise SystemExit(subprocess.run(arguments).returncode)


if __name__ == "__main__":
    main()

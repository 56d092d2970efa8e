"""`python -m ganvas` and the installed `ganvas` command: `kedro run` for the packaged project."""

import sys
from pathlib import Path

from kedro.framework.project import configure_project


def main(*args: str) -> None:
    """Run a pipeline; takes the options of `kedro run`."""
    package_name = Path(__file__).parent.name
    configure_project(package_name)
    # The command can only be imported once the project's settings are known.
    from ganvas.cli import run

    run(args or sys.argv[1:], standalone_mode=True)


if __name__ == "__main__":
    main()

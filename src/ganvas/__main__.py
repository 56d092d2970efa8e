"""Entry point of the packaged project: `python -m ganvas` or the installed `ganvas` command.

`ganvas train FOLDER` trains on the images of a folder, `ganvas gallery` starts the web gallery, and
`ganvas` with the options of `kedro run` runs pipelines.
"""

import logging
import sys
from pathlib import Path

from ganvas.stop_signals import hide_interrupted_imports

hide_interrupted_imports()
# Kedro logs which logging configuration it reads before it can be configured not to.
logging.disable(logging.INFO)
from kedro.framework.project import configure_project  # noqa: E402

logging.disable(logging.NOTSET)
from ganvas.log_lines import use_log_lines  # noqa: E402


def main(*args: str) -> None:
    """Run a command; data is read from and written to the working folder."""
    package_name = Path(__file__).parent.name
    configure_project(package_name)
    use_log_lines()
    # Kedro-Viz warns in every run that it collects statistics in Kedro projects only.
    logging.getLogger("kedro_viz").setLevel(logging.ERROR)
    # The command line can only be imported once the project is configured.
    from ganvas.cli import cli

    cli(list(args or sys.argv[1:]), prog_name="ganvas")


if __name__ == "__main__":
    main()

"""Entry point of the packaged project: `python -m ganvas` or the installed `ganvas` command.

Takes the options of `kedro run`; `ganvas gallery` starts the web gallery.
"""

import logging
import sys
from pathlib import Path

from kedro.framework.project import configure_project


def main(*args: str) -> None:
    """Run a pipeline or start the gallery; data is read from and written to the working folder."""
    package_name = Path(__file__).parent.name
    configure_project(package_name)
    # Kedro-Viz warns in every run that it collects statistics in Kedro projects only.
    logging.getLogger("kedro_viz").setLevel(logging.ERROR)
    # The command line can only be imported once the project is configured.
    from ganvas.cli import gallery, run

    arguments = list(args or sys.argv[1:])
    if arguments[:1] == ["gallery"]:
        gallery(arguments[1:], prog_name="ganvas gallery")
    else:
        run(arguments, prog_name="ganvas")


if __name__ == "__main__":
    main()

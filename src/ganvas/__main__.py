"""`python -m ganvas` and the installed `ganvas` command, for the packaged project.

It runs pipelines with the options of `kedro run`; `ganvas gallery` opens the gallery.
"""

import logging
import sys
from pathlib import Path

from kedro.framework.project import configure_project


def main(*args: str) -> None:
    """Run a pipeline or open the gallery; data is read and written in the working folder."""
    package_name = Path(__file__).parent.name
    configure_project(package_name)
    # Kedro-Viz would warn in every run that statistics are kept in projects alone.
    logging.getLogger("kedro_viz").setLevel(logging.ERROR)
    # The commands can only be imported once the project's settings are known.
    from ganvas.cli import gallery, run

    given = list(args or sys.argv[1:])
    if given[:1] == ["gallery"]:
        gallery(given[1:], prog_name="ganvas gallery")
    else:
        run(given, prog_name="ganvas")


if __name__ == "__main__":
    main()

"""Follow every link and anchor of the built documentation: `python docs/check_links.py FOLDER`."""

import argparse
import sys
from pathlib import Path

from linkcheck.cmdline import aggregate_url
from linkcheck.configuration import ProjectParams
from linkcheck.director import check_urls, get_aggregate


def check_links(folder: Path, external: bool) -> bool:
    """Say which links lead nowhere, and whether there were none.

    LinkChecker's own command becomes the user nobody when root starts it, who may not read the
    folder; hence its parts.

    Args:
        folder: The built site; every page in it is looked at, linked or not.
        external: Ask other hosts too, by the network.
    """
    config = ProjectParams()
    config["enabledplugins"] = ["AnchorCheck"]
    config["checkextern"] = external
    config["status"] = False
    config["logger"] = config.logger_new("text")
    config.sanitize()
    aggregate = get_aggregate(config)
    for page in sorted(folder.resolve().rglob("*.html")):
        aggregate_url(aggregate, page.as_uri())
    check_urls(aggregate)
    found = config["logger"].stats
    return not (found.errors or found.warnings_printed or found.internal_errors)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--external", action="store_true", help="ask other hosts for theirs too")
    chosen = parser.parse_args()
    sys.exit(0 if check_links(chosen.folder, chosen.external) else 1)

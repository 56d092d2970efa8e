"""Check every link and anchor of the built documentation: `python docs/check_links.py FOLDER`."""

import argparse
import sys
from pathlib import Path

from linkcheck.cmdline import aggregate_url
from linkcheck.configuration import Configuration
from linkcheck.director import check_urls, get_aggregate


def check_links(folder: Path, external: bool) -> bool:
    """Print broken links, and return whether there are none.

    LinkChecker's own command, started as root, switches to the user nobody, who may not be allowed
    to read the folder; so its parts are used here.

    Args:
        folder: The built site; every page in it is checked, linked or not.
        external: Also check links to other hosts, which needs a network.
    """
    config = Configuration()
    config["enabledplugins"] = ["AnchorCheck"]
    config["checkextern"] = external
    config["status"] = False
    config["logger"] = config.logger_new("text")
    config.sanitize()
    aggregate = get_aggregate(config)
    for page in sorted(folder.resolve().rglob("*.html")):
        aggregate_url(aggregate, page.as_uri())
    check_urls(aggregate)
    stats = config["logger"].stats
    return not (stats.errors or stats.warnings_printed or stats.internal_errors)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--external", action="store_true", help="also check links to other hosts")
    options = parser.parse_args()
    sys.exit(0 if check_links(options.folder, options.external) else 1)

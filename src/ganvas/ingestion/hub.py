"""What the clients of both hubs share: how they are imported, and what is said of failures."""

import importlib
from types import ModuleType

from ganvas.errors import GanvasError

NO_NETWORK = (
    "{hub} did not hand out {handle} ({reason}): check the network, then run "
    "`kedro run --pipelines=fetch` again, which goes on where it stopped."
)
# A hub may hide by the same answer that there is no such data set.
REFUSED = (
    "{hub} {given} {handle}: put a valid {what} under '{entry}' in conf/local/credentials.yml, or "
    "mend 'fetch' in the parameters if the data set has another name."
)
UNKNOWN = (
    "{hub} has no data set {handle}: set 'fetch' in the parameters to a name that {hub} knows, "
    "as owner/name."
)


def import_client(name: str) -> ModuleType:
    """Import a hub's client, which is an optional extra.

    Raises:
        GanvasError: It is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise GanvasError(
            f"Fetching needs the package {name}, which can't be imported: run "
            '`pip install "ganvas[fetch]"`.'
        ) from error

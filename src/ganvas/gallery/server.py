"""The gallery behind a production server."""

import errno
import logging
from pathlib import Path

import waitress

from ganvas.errors import GanvasError
from ganvas.gallery.app import MAX_UPLOAD, make_app
from ganvas.gallery.batching import WAITING
from ganvas.gallery.model_store import Models
from ganvas.malloc import share_freed_memory

logger = logging.getLogger(__name__)

# More than may wait for the batcher, so that the others are answered that it is busy.
THREADS = WAITING + 12
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(data: Path, host: str, port: int) -> None:
    """Serve the gallery until it is interrupted.

    Args:
        data: The project's folder of data.
        host: Where to listen; on loopback only requests to a name of this machine are answered.
        port: The port.

    Raises:
        GanvasError: There is no model to show, or the address is taken or another machine's.
    """
    share_freed_memory()
    models = Models(data / "06_models")
    found = models.newest()
    if not found:
        raise GanvasError(
            f"There is no trained generator below {data / '06_models'} yet: run `make run`, or "
            "`kedro run` with your own pictures, and start the gallery again."
        )
    # A page elsewhere could point a name of its own at this machine.
    hosts = [*LOOPBACK[:2], "[::1]"] if host in LOOPBACK else None
    app = make_app(models, data, hosts)
    try:
        server = waitress.create_server(
            app,
            host=host,
            port=port,
            threads=THREADS,
            connection_limit=4 * THREADS,
            channel_timeout=60,
            max_request_body_size=MAX_UPLOAD + 2**16,
            ident=None,
        )
    except (OSError, ValueError) as error:
        raise GanvasError(_explain(error, host, port)) from error
    models.choose(None)
    logger.info("The gallery of %s is open: http://%s:%d", ", ".join(found), host, port)
    try:
        server.run()
    finally:
        server.close()


def _explain(error: OSError | ValueError, host: str, port: int) -> str:
    """Say why nothing can listen there, and which option to change."""
    # What waitress raises for a name that leads nowhere doesn't tell so.
    told = "there is no such host" if isinstance(error, ValueError) else error.strerror or error
    if isinstance(error, ValueError) or error.errno == errno.EADDRNOTAVAIL:
        return (
            f"The gallery can't listen on {host} ({told}): give --host a name or address of this "
            "machine, such as 127.0.0.1, or 0.0.0.0 for all that it has."
        )
    return f"The gallery can't listen on {host}, port {port} ({told}): choose another by --port."

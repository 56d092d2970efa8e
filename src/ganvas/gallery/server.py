"""The gallery behind waitress, a production WSGI server."""

import errno
import logging
from pathlib import Path

import waitress

from ganvas.errors import GanvasError
from ganvas.gallery.app import MAX_UPLOAD, create_app
from ganvas.gallery.batching import MAX_PENDING
from ganvas.gallery.model_store import ModelStore
from ganvas.malloc import share_freed_memory

logger = logging.getLogger(__name__)

# More than the batcher's pending requests, so that the rest are rejected at once as busy.
THREADS = MAX_PENDING + 12
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(data: Path, host: str, port: int) -> None:
    """Serve the gallery until interrupted.

    Args:
        data: The project's data folder.
        host: Address to listen on; on loopback, other host names are rejected.
        port: Port to listen on.

    Raises:
        GanvasError: The address is in use or not this machine's.
    """
    share_freed_memory()
    models = ModelStore(data / "06_models")
    # Protects from DNS rebinding: another site's host name could point at this machine.
    hosts = [*LOOPBACK[:2], "[::1]"] if host in LOOPBACK else None
    app = create_app(models, data, hosts)
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
    if models.load().saved.pretrained:
        logger.info(
            "There is no trained generator below %s yet: the gallery shows the pretrained one of "
            "the sample collection. Train your own with `make run`, and reload the page.",
            data / "06_models",
        )
    names = ", ".join(models.newest())
    logger.info("The gallery of %s is open: http://%s:%d", names, host, port)
    try:
        server.run()
    finally:
        server.close()


def _explain(error: OSError | ValueError, host: str, port: int) -> str:
    """Return why the address can't be used, and which option to change."""
    # Waitress raises ValueError for a host name that can't be resolved.
    reason = "there is no such host" if isinstance(error, ValueError) else error.strerror or error
    if isinstance(error, ValueError) or error.errno == errno.EADDRNOTAVAIL:
        return (
            f"The gallery can't listen on {host} ({reason}): set --host to a name or address of "
            "this machine, such as 127.0.0.1, or 0.0.0.0 for all of them."
        )
    return (
        f"The gallery can't listen on {host}, port {port} ({reason}): choose another with --port."
    )

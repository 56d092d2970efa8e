"""The gallery behind waitress, a production WSGI server."""

import errno
import logging
from collections.abc import Sequence
from pathlib import Path

from ganvas.errors import GanvasError
from ganvas.gallery.app import create_app
from ganvas.gallery.batching import MAX_PENDING
from ganvas.gallery.connections import create_server
from ganvas.gallery.model_store import ModelStore
from ganvas.gallery.proxies import check_host_names, check_prefix, trust_proxies
from ganvas.gallery.request_checks import MAX_UPLOAD
from ganvas.malloc import share_freed_memory

logger = logging.getLogger(__name__)

# More than the batcher's pending requests, so that the rest are rejected at once as busy.
THREADS = MAX_PENDING + 12
LOOPBACK = ("127.0.0.1", "localhost", "::1")


# Seconds that a connection is kept open for a next request.
KEEP_ALIVE = 30
# Bytes of an address with 64 selected images.
MAX_HEADERS = 2**16


def serve(
    data: Path,
    host: str,
    port: int,
    prefix: str = "",
    host_names: Sequence[str] = (),
    trusted_proxies: Sequence[str] = (),
) -> None:
    """Serve the gallery until interrupted.

    Args:
        data: The project's data folder.
        host: Address to listen on; on loopback, other host names are rejected.
        port: Port to listen on.
        prefix: Path below which a proxy publishes the gallery, such as /art.
        host_names: Further host names to answer to. With any, only these and those of loopback.
        trusted_proxies: Addresses or networks whose X-Forwarded headers are used.

    Raises:
        GanvasError: The address is in use or not this machine's, or an option can't be used.
    """
    share_freed_memory()
    models = ModelStore(data / "06_models")
    prefix, sites = check_prefix(prefix), check_host_names(host_names)
    # Protects from DNS rebinding: another site's host name could point at this machine.
    hosts = [*LOOPBACK[:2], "[::1]", *sites] if host in LOOPBACK or sites else None
    app = trust_proxies(create_app(models, data, hosts, sites), trusted_proxies)
    try:
        server = create_server(
            app,
            host=host,
            port=port,
            url_prefix=prefix,
            threads=THREADS,
            channel_timeout=KEEP_ALIVE,
            max_request_header_size=MAX_HEADERS,
            max_request_body_size=MAX_UPLOAD + 2**16,
            # `trust_proxies` decides whose headers are used.
            clear_untrusted_proxy_headers=False,
        )
    except (OSError, ValueError) as error:
        raise GanvasError(_explain(error, host, port)) from error
    # Those that can't be loaded are in the log.
    if models.load().saved.pretrained and not models.left_out():
        logger.info(
            "There is no trained generator below %s yet: the gallery shows the pretrained one of "
            "the sample collection. Train your own with `make run`, and reload the page.",
            data / "06_models",
        )
    names = ", ".join(models.newest())
    logger.info("The gallery of %s is open: http://%s:%d%s", names, host, port, prefix)
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

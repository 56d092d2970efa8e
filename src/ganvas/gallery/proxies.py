"""The gallery behind a reverse proxy: its path, its host names, and the proxy's headers."""

import re
from collections.abc import Callable, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from werkzeug.middleware.proxy_fix import ProxyFix

from ganvas.errors import GanvasError

Application = Callable[..., Any]


def check_prefix(prefix: str) -> str:
    """Return the path below which the gallery is published, without a slash at its end.

    Raises:
        GanvasError: It has characters that would have to be escaped.

    Example:
        >>> check_prefix("art/"), check_prefix("/")
        ('/art', '')
    """
    path = prefix.strip("/")
    parts = path.split("/")
    if path and not all(re.fullmatch(r"[\w.~-]+", part, re.ASCII) for part in parts):
        raise GanvasError(
            f"--prefix can't be '{prefix}': it is the path of the gallery's address, such as /art, "
            "of letters, digits and the characters - . _ ~ between slashes."
        )
    if {".", ".."} & set(parts):
        raise GanvasError(f"--prefix can't be '{prefix}': it has no parts . and ..")
    return f"/{path}" if path else ""


def check_host_names(names: Sequence[str]) -> list[str]:
    """Return host names in lower case.

    Raises:
        GanvasError: One has a scheme, a port or a path, or is no host name.

    Example:
        >>> check_host_names(["Art.Example"])
        ['art.example']
    """
    for name in names:
        if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", name, re.IGNORECASE | re.ASCII):
            raise GanvasError(
                f"--host-name can't be '{name}': it is a name as in the gallery's address, such as "
                "art.example, without https://, port and path."
            )
    return [name.lower() for name in names]


def trust_proxies(application: Application, proxies: Sequence[str]) -> Application:
    """Let an application use the headers X-Forwarded-For, -Proto and -Host of some proxies.

    Those of all other clients are ignored, since a client can write anything into them.

    Args:
        application: A WSGI application.
        proxies: Addresses or networks, such as 127.0.0.1 or 172.16.0.0/12.

    Raises:
        GanvasError: One is no address.
    """
    networks = []
    for proxy in proxies:
        try:
            networks.append(ip_network(proxy, strict=False))
        except ValueError as error:
            raise GanvasError(
                f"--trusted-proxy can't be '{proxy}': it is the address of the proxy or its "
                "network, such as 127.0.0.1 or 172.16.0.0/12."
            ) from error
    forwarded = ProxyFix(application, x_for=1, x_proto=1, x_host=1)

    def choose(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        address = ip_address(environ["REMOTE_ADDR"].partition("%")[0])
        is_trusted = any(address in network for network in networks)
        return (forwarded if is_trusted else application)(environ, start_response)

    return choose if networks else application

"""Connections of waitress: deadlines for slow clients, limits, and errors in the gallery's form.

Waitress closes a connection after some time without a byte. A client that sends one every few
seconds would hold its connection for ever, and a few hundred of them all connections.
"""

import io
import socket
import time
from collections import Counter
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import Any

from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import MultiSocketServer, TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher, WSGITask
from waitress.utilities import BadRequest, Error

from ganvas.gallery.request_checks import MAX_UPLOAD, SERVER_ERROR, TOO_BUSY

# Seconds until the headers of a request are complete, and until its body is.
HEADER_SECONDS, BODY_SECONDS = 20, 120
# A client must take this many bytes of a response per second, measured over this many seconds.
SEND_RATE, SEND_SECONDS = 4096, 30
# Seconds in which an unread rest of a refused request is received and discarded.
DRAIN_SECONDS = 10
# Connections without a request in process, of one client and of all. A further one takes the
# place of the oldest one of the client that has the most.
MAX_WAITING_PER_CLIENT, MAX_WAITING = 64, 256
# Connections of all kinds, of which one is closed for each further one.
MAX_CONNECTIONS = 448
# Requests that a client may send on a connection before it has the first response.
MAX_PIPELINED = 8
# Bytes of sizes, extensions and trailers of a chunked body beyond the bytes of its content.
MAX_FRAMING = 2**16
# Bytes of all bodies that are held, which are kept in memory and never written to disk, since they
# may be photos. Beyond it, a body of more than the second number is refused until others end.
MAX_HELD, MAX_SMALL = 2**28, 2**19
# Bits of an IPv6 address that one client can have many of.
HOST_BITS = 64


class _BusyError(Error):
    """The bodies of other requests fill the memory that there is for them."""

    code = TOO_BUSY
    reason = "Too Many Requests"


class _RefusedTask(WSGITask):
    """Answers a request that waitress refuses: the application is called with the error's status.

    So the response has the sentence, the form and the headers of all other errors.
    """

    def execute(self) -> None:
        """Call the application, and close the connection, whose further bytes are unknown."""
        self.channel.refused = True
        self.set_close_on_finish()
        super().execute()

    def get_environment(self) -> dict[str, Any]:
        """Return the WSGI environment of the request without its body."""
        # If the first line can't be parsed, these are missing.
        for name, default in (("command", "GET"), ("path", "/"), ("query", "")):
            if not hasattr(self.request, name):
                setattr(self.request, name, default)
        self.request.request_uri = getattr(self.request, "request_uri", self.request.path)
        self.request.url_scheme = getattr(self.request, "url_scheme", "http")
        environ: dict[str, Any] = super().get_environment()
        environ["wsgi.input"] = io.BytesIO()
        environ.pop("CONTENT_LENGTH", None)
        environ[SERVER_ERROR] = self.request.error.code
        return environ


class _Parser(HTTPRequestParser):
    """Parses a request; one that is refused is not asked to go on.

    Waitress would keep an endless line of a chunked body, and parse a million chunks of one byte.
    """

    def received(self, data: bytes) -> int:
        """Take received bytes, and return how many were of this request."""
        count = int(super().received(data))
        if self.chunked and not self.completed:  # type: ignore[has-type]
            framing = self.body_bytes_received - len(self.body_rcv)
            if framing > MAX_FRAMING + len(self.body_rcv) // 4:
                self.error = BadRequest("The body has more framing than content.")
                self.completed = True
        is_large = not self.completed and _body_length(self) > MAX_SMALL
        if is_large and self.adj.held_bytes() > MAX_HELD:
            self.error = _BusyError("Other uploads fill the memory.")
            self.completed = True
        # Waitress would send "100 Continue" and receive the body all the same.
        if self.error:
            self.expect_continue = False
        return count


def _body_length(request: HTTPRequestParser | None) -> int:
    """Return how many bytes of a request's body are held."""
    receiver = request and request.body_rcv
    return len(receiver) if receiver else 0


class Connection(HTTPChannel):
    """A connection with deadlines.

    A client that still sends when its request is refused would not read the response if the
    connection were closed at once, so the rest is received and discarded for some seconds.
    """

    parser_class = _Parser
    error_task_class = _RefusedTask

    def __init__(self, server: "Server", *args: Any, **kwargs: Any) -> None:
        super().__init__(server, *args, **kwargs)
        self.refused = False
        self._draining_since: float | None = None
        # Since when a request is awaited or received.
        self._waiting_since = self.creation_time
        # The last time when the rate of a response was measured, and the bytes sent until then.
        self._measured, self._measured_sent = self.creation_time, 0
        self._sent = 0

    @property
    def is_waiting(self) -> bool:
        """Whether no request is in process."""
        return not self.requests

    @property
    def waiting_since(self) -> float:
        """Since when no request is in process, as of `time.time`."""
        return float(self._waiting_since)

    @property
    def held_bytes(self) -> int:
        """Bytes of the bodies of its requests."""
        return sum(map(_body_length, [self.request, *self.requests]))

    def is_overdue(self, now: float) -> bool:
        """Return whether the client is too slow, as of a time of `time.time`."""
        if self._draining_since is not None:
            return now - self._draining_since > DRAIN_SECONDS
        if self.total_outbufs_len:
            return self._sends_slowly(now)
        self._measured, self._measured_sent = now, self._sent
        if not self.is_waiting:
            return False
        request = self.request
        if request is None:
            # Kept open for a next request.
            return bool(now - self.last_activity > self.adj.channel_timeout)
        seconds = BODY_SECONDS if request.headers_finished else HEADER_SECONDS
        return now - self._waiting_since > seconds

    def _sends_slowly(self, now: float) -> bool:
        seconds = now - self._measured
        if seconds < SEND_SECONDS:
            return False
        is_slow = self._sent - self._measured_sent < SEND_RATE * seconds
        self._measured, self._measured_sent = now, self._sent
        return bool(is_slow)

    def received(self, data: bytes) -> bool:
        """Take received bytes; those after a pause begin a new request."""
        if self.request is None and self.is_waiting:
            self._waiting_since = time.time()
        is_taken = bool(super().received(data))
        if len(self.requests) > MAX_PIPELINED:
            self.drop()
        return is_taken

    def send(self, data: bytes, do_close: bool = True) -> int:
        """Send bytes, and count them."""
        count = int(super().send(data, do_close))
        self._sent += count
        return count

    def service(self) -> None:
        """Answer a request."""
        super().service()
        self._waiting_since = time.time()

    # The end of a connection

    def readable(self) -> bool:
        """Return whether bytes are to be received."""
        return self._draining_since is not None or bool(super().readable())

    def writable(self) -> bool:
        """Return whether bytes are to be sent, or the connection is to be closed."""
        if self._draining_since is not None:
            return bool(self.will_close)
        return bool(super().writable())

    def handle_read(self) -> None:
        """Receive bytes; discard them if the request is refused."""
        if self._draining_since is None:
            super().handle_read()
            return
        try:
            self.recv(self.adj.recv_bytes)
        except OSError:
            self.handle_close()

    def handle_close(self) -> None:
        """Close the connection; of a refused request, first the own side of it."""
        if not (self.refused and self._draining_since is None and self.connected):
            super().handle_close()
            return
        self._draining_since = time.time()
        self.will_close = self.close_when_flushed = False
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            super().handle_close()

    def drop(self) -> None:
        """Close the connection at once, whether or not the client reads what is left to send."""
        super().handle_close()


class Server(TcpWSGIServer):
    """A server that closes slow connections, and those of a client with too many."""

    channel_class = Connection

    def maintenance(self, now: float) -> None:
        """Close the connections of clients that are too slow; waitress calls it regularly."""
        # Closed at once: the socket of a client that reads nothing never becomes writable, which
        # waitress would wait for.
        for connection in list(self.active_channels.values()):
            if connection.is_overdue(now):
                connection.handle_close()

    def handle_accept(self) -> None:
        """Accept a connection, and close another one if there are too many."""
        super().handle_accept()
        every = list(self.active_channels.values())
        waiting = [connection for connection in every if connection.is_waiting]
        _, count = _most_of_a_client(waiting)
        if count > MAX_WAITING_PER_CLIENT or len(waiting) > MAX_WAITING:
            _drop_oldest(waiting)
        elif len(every) > MAX_CONNECTIONS:
            _drop_oldest(every)


def _most_of_a_client(connections: list[Connection]) -> tuple[str, int]:
    """Return the client that has the most of some connections, and their number."""
    clients = Counter(map(_client, connections))
    return next(iter(clients.most_common(1)), ("", 0))


def _drop_oldest(connections: list[Connection]) -> None:
    """Close the oldest one of the client that has the most of some connections."""
    client, _ = _most_of_a_client(connections)
    min(
        (connection for connection in connections if _client(connection) == client),
        key=lambda connection: connection.waiting_since,
    ).drop()


def _client(connection: Connection) -> str:
    """Return the address of a connection, of IPv6 without the part that a client can choose."""
    try:
        address = ip_address(connection.addr[0].partition("%")[0])
    except ValueError:
        return str(connection.addr[0])
    if isinstance(address, IPv6Address):
        return str(int(address) >> HOST_BITS)
    return str(address)


def create_server(application: Callable[..., Any], **options: Any) -> Server | MultiSocketServer:
    """Create a server for a WSGI application, as `waitress.create_server` does.

    Args:
        application: The application.
        options: Options of waitress, such as host and port.

    Raises:
        OSError, ValueError: The address can't be used.
    """
    settings = Adjustments(
        # Seconds between checks for slow clients.
        cleanup_interval=2,
        # Not limited to 1024 files.
        asyncore_use_poll=True,
        # Above the limit of waiting connections, so that new ones are always accepted.
        connection_limit=2 * MAX_WAITING,
        # No header says which server this is.
        ident=None,
        # No body is written to a temporary file.
        inbuf_overflow=MAX_UPLOAD + 2 * MAX_FRAMING,
        **options,
    )
    threads = ThreadedTaskDispatcher()
    threads.set_thread_count(settings.threads)
    sockets: dict[int, Any] = {}
    # A host name can have several addresses.
    servers = [
        Server(application, sockets, dispatcher=threads, adj=settings, sockinfo=info)
        for info in settings.listen
    ]
    settings.held_bytes = lambda: sum(
        connection.held_bytes
        for server in servers
        for connection in list(server.active_channels.values())
    )
    if len(servers) == 1:
        return servers[0]
    addresses = [(server.effective_host, server.effective_port) for server in servers]
    return MultiSocketServer(sockets, settings, addresses, threads, servers[0].log_info)

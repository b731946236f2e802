"""The only way out: HTTP to addresses that somebody typed in.

A user's URL must not reach what only this machine can reach. So a name is resolved once, every address it has
must be globally routable, and the connection goes to exactly that address (the name stays in `Host` and in
TLS). There is no proxy from the environment, no cookie, no credential in the URL, and a redirect is followed
only on request and checked like the first URL. Size, decompressed size and total time are capped.

`ROOTSTOCK_HTTP_ALLOW_PRIVATE` names networks of the owner's own that may be reached all the same.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import httpcore
import httpx
from django.conf import settings

logger = logging.getLogger(__name__)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PORTS = frozenset({80, 443, 8080, 8443})
LONGEST_URL = 2000
# Python 3.11 calls these global, but they lead to, or may be translated into, addresses that are not.
_NOT_GLOBAL = tuple(
    ipaddress.ip_network(network)
    for network in (
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",  # NAT64 of a local network
        "2002::/16",  # 6to4
        "2001::/32",  # Teredo
        "192.88.99.0/24",  # 6to4 relays
        "100.64.0.0/10",  # shared address space of carriers; metadata services live there
        "::/96",  # IPv4-compatible
        "::ffff:0:0/96",  # IPv4-mapped
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing
    )
)


class HttpError(Exception):
    """A request that brought no answer."""


class AddressRefused(HttpError):
    """The URL is malformed, or leads to where requests may not go. Trying again is of no use."""


class RequestFailed(HttpError):
    """No connection, no answer in time, or no HTTP."""


class NotSent(RequestFailed):
    """No address or no connection: the other side has certainly seen nothing of the request."""


class AnswerTooLarge(HttpError):
    """The answer is longer than the caller takes."""


@dataclass(frozen=True)
class Answer:
    """What came back. `body` is decompressed; `url` is where it came from after redirects."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    redirects: list[str] = field(default_factory=list)


def address_allowed(address: Address) -> bool:
    """Whether a connection may go there: globally routable, or in a network that the owner allows."""
    mapped = getattr(address, "ipv4_mapped", None)
    if any(_within(address, network) for network in _own_networks()):
        return True
    if mapped is not None or getattr(address, "scope_id", None):
        return False
    if any(_within(address, network) for network in _NOT_GLOBAL):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def check_url(url: str) -> httpx.URL:
    """The URL, if a request may be tried; for forms. Names are not resolved here, every request does that.

    Raises:
        AddressRefused: with the reason, fit to be shown.
    """
    parsed = _parsed(url)
    try:
        address = ipaddress.ip_address(parsed.host)
    except ValueError:
        return parsed
    _check(address, parsed.host, _port(parsed))
    return parsed


def fetch(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout: float = 15.0,
    max_bytes: int = 1_000_000,
    max_redirects: int = 0,
) -> Answer:
    """One request and its whole answer.

    Args:
        timeout: seconds for everything together: names, connections, redirects and the last byte.
        max_bytes: of the answer's body after decompression.
        max_redirects: how many are followed (GET and HEAD only); with 0 a redirect is an answer like any other.

    Raises:
        AddressRefused: the URL, or one it redirects to, is not allowed.
        RequestFailed: it did not work in the time.
        AnswerTooLarge: more than `max_bytes`.
    """
    deadline = time.monotonic() + timeout
    parsed = _parsed(url)
    passed: list[str] = []
    while True:
        status, answered, content = _once(
            method,
            parsed,
            headers=headers or {},
            body=body,
            deadline=deadline,
            max_bytes=max_bytes,
        )
        location = answered.get("location")
        if status not in {301, 302, 303, 307, 308} or location is None or max_redirects == 0:
            return Answer(status, answered, content, str(parsed), passed)
        if method not in {"GET", "HEAD"} or len(passed) >= max_redirects:
            raise RequestFailed(f"more than {len(passed)} redirects")
        passed.append(str(parsed))
        try:
            target = str(parsed.join(location))
        except httpx.InvalidURL as error:
            raise AddressRefused(f"redirected to something that is no URL: {error}") from error
        following = _parsed(target)
        if (following.scheme, following.host, _port(following)) != (
            parsed.scheme,
            parsed.host,
            _port(parsed),
        ):
            headers = {
                name: value
                for name, value in (headers or {}).items()
                if name.lower() not in {"authorization", "cookie"}
            }
        parsed = following


def _parsed(url: str) -> httpx.URL:
    if len(url) > LONGEST_URL or any(ord(letter) <= 0x20 or ord(letter) == 0x7F for letter in url):
        raise AddressRefused("the URL is too long, or holds spaces or control characters")
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise AddressRefused(f"not a URL: {error}") from error
    if parsed.scheme not in {"http", "https"}:
        raise AddressRefused("the URL must begin with http:// or https://")
    if not parsed.host:
        raise AddressRefused("the URL names no host")
    if parsed.userinfo:
        raise AddressRefused("the URL must not hold a user name or password")
    if "%" in parsed.host or "\\" in url:
        raise AddressRefused("the URL's host is malformed")
    return parsed


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _check(address: Address, host: str, port: int) -> None:
    if not address_allowed(address):
        raise AddressRefused(f"{host} is not a public address")
    own = any(_within(address, network) for network in _own_networks())
    if port not in PORTS and not own:
        allowed = ", ".join(str(number) for number in sorted(PORTS))
        raise AddressRefused(f"port {port} is not allowed; allowed are {allowed}")


def _within(address: Address, network: Network) -> bool:
    return address.version == network.version and address in network


def _own_networks() -> tuple[Network, ...]:
    return _networks(settings.ROOTSTOCK_HTTP_ALLOW_PRIVATE)


@lru_cache(maxsize=4)
def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


def _resolve(host: str, port: int, deadline: float) -> list[str]:
    """The addresses of a name, all of them allowed: one bad one among good ones is an attack or a mistake."""
    found: list[Any] = []

    def look_up() -> None:
        try:
            found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.append(error)

    # The resolver of the C library knows no time limit: leave it behind when it takes too long.
    thread = threading.Thread(target=look_up, name="http-resolve", daemon=True)
    thread.start()
    thread.join(max(0.0, deadline - time.monotonic()))
    if thread.is_alive():
        raise NotSent(f"the name {host} was not resolved in time")
    if found and isinstance(found[0], Exception):
        raise NotSent(f"the name {host} cannot be resolved") from found[0]
    addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
    for address in addresses:
        _check(ipaddress.ip_address(address), host, port)
    return addresses


class _DeadlineStream(httpcore.NetworkStream):
    """A connection on which no single operation outlasts the deadline of the whole request."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("out of time")
        return left

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, self._left())
        return _DeadlineStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _PinnedBackend(httpcore.NetworkBackend):
    """Connects to the checked address of a name; there is no second look-up that could answer differently."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        last: Exception | None = None
        for address in _resolve(host, port, self._deadline)[:4]:
            try:
                left = max(0.01, self._deadline - time.monotonic())
                stream = self._backend.connect_tcp(address, port, left)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
                continue
            return _DeadlineStream(stream, self._deadline)
        raise NotSent(f"no connection to {host}") from last

    def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        raise AddressRefused("unix sockets are not reached from here")


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)


def _once(
    method: str,
    url: httpx.URL,
    *,
    headers: Mapping[str, str],
    body: bytes | None,
    deadline: float,
    max_bytes: int,
) -> tuple[int, dict[str, str], bytes]:
    sent = {
        "Host": url.netloc.decode("ascii"),
        "User-Agent": "Rootstock",
        "Accept-Encoding": "gzip",
        "Connection": "close",
        **headers,
    }
    if body is not None:
        sent["Content-Length"] = str(len(body))
    target = httpcore.URL(
        scheme=url.raw_scheme, host=url.raw_host, port=_port(url), target=url.raw_path
    )
    request = httpcore.Request(method, target, headers=list(sent.items()), content=body)
    try:
        with httpcore.ConnectionPool(
            ssl_context=_tls(), network_backend=_PinnedBackend(deadline)
        ) as pool:
            response = pool.handle_request(request)
            try:
                answered = {
                    name.decode("latin-1").lower(): value.decode("latin-1")
                    for name, value in response.headers
                }
                content = _read(response, answered, method, max_bytes)
            finally:
                response.close()
    except httpcore.TimeoutException as error:
        raise RequestFailed("no answer in time") from error
    except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError, OSError) as error:
        raise RequestFailed(str(error)[:300] or type(error).__name__) from error
    return response.status, answered, content


def _read(
    response: httpcore.Response, headers: Mapping[str, str], method: str, max_bytes: int
) -> bytes:
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "", "gzip", "x-gzip"}:
        raise RequestFailed(f"the answer is encoded as {encoding[:40]!r}, which was not asked for")
    unzip = zlib.decompressobj(wbits=31) if "gzip" in encoding and method != "HEAD" else None
    content = bytearray()
    for chunk in response.iter_stream():
        try:
            # One byte more than is allowed tells "too large" from "exactly as large"; never more is unpacked.
            room = max_bytes + 1 - len(content)
            content += unzip.decompress(chunk, room) if unzip else chunk
        except zlib.error as error:
            raise RequestFailed("the answer is no valid gzip") from error
        if len(content) > max_bytes:
            raise AnswerTooLarge(f"the answer is longer than {max_bytes} bytes")
    return bytes(content)


class _AsyncPinnedBackend(httpcore.AsyncNetworkBackend):
    """`_PinnedBackend` for asyncio; the deadline of a request is its caller's."""

    def __init__(self) -> None:
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        seconds = timeout or 15.0
        try:
            addresses = await asyncio.to_thread(_resolve, host, port, time.monotonic() + seconds)
        except RequestFailed as error:
            raise httpcore.ConnectError(str(error)) from error
        last: Exception | None = None
        for address in addresses[:4]:
            try:
                return await self._backend.connect_tcp(address, port, seconds)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        raise httpcore.ConnectError(f"no connection to {host}") from last

    async def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        raise AddressRefused("unix sockets are not reached from here")


class CheckedTransport(httpx.AsyncHTTPTransport):
    """What `fetch` allows and no more, for an `httpx.AsyncClient` whose answers are long or come in pieces.

    Connecting raises AddressRefused; who reads limits size and time.
    """

    def __init__(self) -> None:
        super().__init__(trust_env=False)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=_tls(), network_backend=_AsyncPinnedBackend()
        )

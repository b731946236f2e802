"""What a user's URL may not reach, and what an answer may not do to us."""

from __future__ import annotations

import gzip
import http.server
import ipaddress
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rootstock.common import http as safe
from rootstock.common.http import AddressRefused, AnswerTooLarge, RequestFailed, check_url, fetch

REFUSED = [
    "http://127.0.0.1/",
    "http://127.1/",
    "http://127.0.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.1/",
    "http://017700000001/",
    "http://0177.0.0.1/",
    "http://0.0.0.0/",
    "http://0/",
    "http://localhost/",
    "http://LOCALHOST/",
    "http://localhost./",
    "http://localhost.localdomain/",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b::808:808]/",
    "http://[64:ff9b:1::a00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:a00:1::1]/",
    "http://[2001:0:53aa:64c::1]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fc00::1]/",
    "http://[fd12:3456::1]/",
    "http://[ff02::1]/",
    "http://[2001:db8::1]/",
    "http://10.0.0.1/",
    "http://10.255.255.255/",
    "http://172.16.0.1/",
    "http://172.31.255.254/",
    "http://192.168.1.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://100.64.0.1/",
    "http://100.100.100.200/latest/meta-data/",
    "http://192.0.0.1/",
    "http://192.0.2.1/",
    "http://192.88.99.1/",
    "http://198.18.0.1/",
    "http://198.51.100.7/",
    "http://203.0.113.9/",
    "http://224.0.0.1/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://8.8.8.8:22/",
    "http://8.8.8.8:6379/",
    "http://8.8.8.8:25/",
    "https://8.8.8.8:5432/",
    "ftp://8.8.8.8/",
    "file:///etc/passwd",
    "gopher://8.8.8.8/",
    "unix:///var/run/docker.sock",
    "javascript:alert(1)",
    "//8.8.8.8/",
    "8.8.8.8",
    "",
    "http://",
    "http:///path",
    "http://user@8.8.8.8/",
    "http://user:secret@8.8.8.8/",
    "http://8.8.8.8@127.0.0.1/",
    "http://8.8.8.8\\@127.0.0.1/",
    "http://8.8.8.8 .internal/",
    "http://8.8.8.8/\r\nHost: inside",
    "http://８.８.８.８.127.0.0.1.nip/\x00",
    "http://１２７.０.０.１/",
    "http://①②⑦.⓪.⓪.①/",
    "http://127。0。0。1/",
    "http://8.8.8.8/" + "a" * 2000,
]
ALLOWED = [
    "http://8.8.8.8/",
    "https://1.1.1.1/path?query=1",
    "https://93.184.216.34:8443/",
    "http://[2606:4700:4700::1111]/",
    "https://hooks.example.com/in",
    "https://例子.测试/钩子",
]


@pytest.fixture(autouse=True)
def nothing_allowed(settings: Any) -> None:
    settings.ROOTSTOCK_HTTP_ALLOW_PRIVATE = ""


@pytest.mark.parametrize("url", REFUSED)
def test_refused_without_any_connection(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def only_numbers(host: Any, *args: Any, **kwargs: Any) -> Any:
        """The resolver of this machine, which turns 127.1 and 0x7f.1 into addresses, but asks no name server."""
        if str(host).lower().rstrip(".").startswith("localhost"):
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))]
        return real(host, *args, **{**kwargs, "flags": socket.AI_NUMERICHOST})

    def no_connection(*_: Any, **__: Any) -> Any:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket, "getaddrinfo", only_numbers)
    monkeypatch.setattr(socket, "create_connection", no_connection)
    with pytest.raises(AddressRefused):
        fetch("GET", url)


@pytest.mark.parametrize("url", ALLOWED)
def test_public_urls_pass(url: str) -> None:
    assert check_url(url).host


def test_form_check_needs_no_name_server() -> None:
    with pytest.raises(AddressRefused, match="not a public address"):
        check_url("http://192.168.0.10/hook")


def resolver(answers: dict[str, list[str]], calls: list[str]) -> Callable[..., Any]:
    def resolve(host: str, port: int, *_: Any, **__: Any) -> Any:
        calls.append(host)
        if host not in answers:
            raise socket.gaierror("unknown name")
        found = []
        for address in answers[host]:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            found.append((family, socket.SOCK_STREAM, 6, "", (address, port)))
        return found

    return resolve


def test_name_with_one_inner_address_among_public_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        socket, "getaddrinfo", resolver({"mixed.example": ["8.8.8.8", "10.0.0.1"]}, [])
    )
    with pytest.raises(AddressRefused, match=r"mixed\.example is not a public address"):
        fetch("GET", "http://mixed.example/")


def test_rebinding_name_is_looked_up_once_and_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second answer of a rebinding name would be 127.0.0.1: nobody ever asks for it."""
    calls: list[str] = []
    connected: list[tuple[str, int]] = []
    monkeypatch.setattr(socket, "getaddrinfo", resolver({"rebind.example": ["8.8.8.8"]}, calls))

    def connect(address: tuple[str, int], *_: Any, **__: Any) -> Any:
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(RequestFailed):
        fetch("GET", "http://rebind.example/")
    assert calls == ["rebind.example"]
    assert connected == [("8.8.8.8", 80)]


def test_resolver_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [release.wait(20)])
    with pytest.raises(RequestFailed, match="not resolved in time"):
        fetch("GET", "http://slow.example/", timeout=0.1)
    release.set()


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers by path."""

    def do_GET(self) -> None:
        self.server.seen.append((self.command, self.path, dict(self.headers)))  # type: ignore[attr-defined]
        action = self.path.strip("/").split("?")[0]
        getattr(self, f"answer_{action}", self.answer_plain)()

    do_POST = do_GET  # noqa: N815 - the name that http.server calls

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def reply(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer_plain(self) -> None:
        self.reply(b"plain")

    def answer_gzip(self) -> None:
        self.reply(gzip.compress(b"squeezed"), Content_Encoding="gzip")

    def answer_bomb(self) -> None:
        self.reply(gzip.compress(b"\0" * 50_000_000), Content_Encoding="gzip")

    def answer_br(self) -> None:
        self.reply(b"??", Content_Encoding="br")

    def answer_broken(self) -> None:
        self.reply(b"no gzip", Content_Encoding="gzip")

    def answer_long(self) -> None:
        self.send_response(200)
        self.end_headers()
        for _ in range(1000):
            try:
                self.wfile.write(b"x" * 65536)
            except OSError:
                return

    def answer_drip(self) -> None:
        self.send_response(200)
        self.end_headers()
        for _ in range(100):
            try:
                self.wfile.write(b"x")
                self.wfile.flush()
            except OSError:
                return
            time.sleep(0.05)

    def answer_inside(self) -> None:
        self.reply(b"", 302, Location="http://10.0.0.1/")

    def answer_metadata(self) -> None:
        self.reply(b"", 302, Location="http://169.254.169.254/")

    def answer_file(self) -> None:
        self.reply(b"", 302, Location="file:///etc/passwd")

    def answer_loop(self) -> None:
        self.reply(b"", 302, Location="/loop")

    def answer_moved(self) -> None:
        self.reply(b"", 302, Location="/plain")


@pytest.fixture
def server(settings: Any) -> Iterator[Any]:
    """A server on loopback, allowed by the owner's list."""
    settings.ROOTSTOCK_HTTP_ALLOW_PRIVATE = "127.0.0.1/32"
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.seen = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=running.serve_forever, args=(0.02,))
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


def at(server: Any, path: str) -> str:
    return f"http://127.0.0.1:{server.server_port}/{path}"


def test_owners_network_may_be_reached_and_nothing_beside_it(server: Any) -> None:
    assert fetch("GET", at(server, "plain")).body == b"plain"
    with pytest.raises(AddressRefused):
        fetch("GET", "http://127.0.0.2/")


def test_host_and_body_arrive_and_no_proxy_is_asked(server: Any, monkeypatch: Any) -> None:
    monkeypatch.setitem(os.environ, "HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setitem(os.environ, "http_proxy", "http://127.0.0.1:1")
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        resolver({"hook.example": ["127.0.0.1"], "127.0.0.1": ["127.0.0.1"]}, []),
    )
    answer = fetch(
        "POST",
        f"http://hook.example:{server.server_port}/plain?a=1",
        headers={"X-A": "b"},
        body=b"{}",
    )
    assert answer.status == 200
    ((method, path, headers),) = server.seen
    assert (method, path, headers["X-A"]) == ("POST", "/plain?a=1", "b")
    assert headers["Host"] == f"hook.example:{server.server_port}"
    assert headers["Content-Length"] == "2"


def test_gzip_is_unpacked_and_a_bomb_is_not(server: Any) -> None:
    assert fetch("GET", at(server, "gzip")).body == b"squeezed"
    with pytest.raises(AnswerTooLarge):
        fetch("GET", at(server, "bomb"), max_bytes=10_000)
    with pytest.raises(RequestFailed, match="not asked for"):
        fetch("GET", at(server, "br"))
    with pytest.raises(RequestFailed, match="no valid gzip"):
        fetch("GET", at(server, "broken"))


def test_size_and_total_time_are_capped(server: Any) -> None:
    with pytest.raises(AnswerTooLarge):
        fetch("GET", at(server, "long"), max_bytes=100_000)
    begin = time.monotonic()
    with pytest.raises(RequestFailed, match="in time"):
        fetch("GET", at(server, "drip"), timeout=0.4)
    assert time.monotonic() - begin < 4


def test_redirects(server: Any) -> None:
    assert fetch("GET", at(server, "moved")).status == 302
    followed = fetch("GET", at(server, "moved"), max_redirects=3)
    assert (followed.status, followed.body, len(followed.redirects)) == (200, b"plain", 1)
    for inside in ("inside", "metadata", "file"):
        with pytest.raises(AddressRefused):
            fetch("GET", at(server, inside), max_redirects=3)
    with pytest.raises(RequestFailed, match="redirects"):
        fetch("GET", at(server, "loop"), max_redirects=3)
    with pytest.raises(RequestFailed, match="redirects"):
        fetch("POST", at(server, "moved"), max_redirects=3, body=b"")


def test_no_answer_and_no_name(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(RequestFailed, match="no connection"):
            fetch("GET", f"http://127.0.0.1:{unused.getsockname()[1]}/")
    monkeypatch.setattr(socket, "getaddrinfo", resolver({}, []))
    with pytest.raises(RequestFailed, match="cannot be resolved"):
        fetch("GET", "http://nobody.example/")


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e"]
)
def test_public_addresses_are_allowed(address: str) -> None:
    assert safe.address_allowed(ipaddress.ip_address(address))

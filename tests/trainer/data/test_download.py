"""Downloads from a real HTTP server on loopback: whole, interrupted, resumed, refused."""

import hashlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest

from inspector.errors import DataError, SinkError
from trainer.data.download import download

CONTENT = np.random.default_rng(0).integers(0, 256, 3_000_000, np.uint8).tobytes()
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server:
    """Serves `CONTENT`; each request is answered as the next entry of `plan` says, then as the last one.

    An entry is an HTTP status to refuse with, a number of bytes after which the connection breaks, or None: all of it.
    """

    def __init__(self, plan=(), ranges=True, chunked=False):
        self.plan, self.ranges, self.chunked = list(plan) or [None], ranges, chunked
        self.asked: list[str | None] = []

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range")
        self.asked.append(wanted)
        step = self.plan.pop(0) if len(self.plan) > 1 else self.plan[0]
        if handler.path == "/moved":
            handler.send_response(302)
            handler.send_header("Location", "/file")
            handler.end_headers()
            return
        if isinstance(step, tuple):
            handler.send_error(step[0])
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.ranges else 0
        if start >= len(CONTENT):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(CONTENT)}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        if not self.chunked:
            handler.send_header("Content-Length", str(len(CONTENT) - start))
        handler.end_headers()
        handler.wfile.write(CONTENT[start:] if step is None else CONTENT[start : start + step])


@contextmanager
def serving(server: Server) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            server.answer(self)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        Thread(target=http.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{http.server_port}"
        finally:
            http.shutdown()


def fetch(url, folder, sha256=SHA256, seen=None):
    target = folder / "file.zip"
    download(url, target, sha256, lambda done, total: (seen if seen is not None else []).append((done, total)), 0.0)
    return target


# name -> (server, path, what the requests must have asked for)
WAYS = {
    "in one go": (Server(), "/file", [None]),
    "through a redirect": (Server(), "/moved", [None, None]),
    "length unknown": (Server(chunked=True), "/file", [None]),
    "breaks twice": (
        Server([1_000_000, 700_000, None]),
        "/file",
        [None, "bytes=1000000-", "bytes=1700000-"],
    ),
    "breaks, and the server knows no ranges": (
        Server([1_000_000, None], ranges=False),
        "/file",
        [None, "bytes=1000000-"],
    ),
    "busy at first": (Server([(503,), (429,), None]), "/file", [None, None, None]),
}


@pytest.mark.parametrize("way", WAYS)
def test_arrives_whole(way, tmp_path):
    server, path, asked = WAYS[way]
    server.asked.clear()
    seen = []
    with serving(server) as url:
        target = fetch(url + path, tmp_path, seen=seen)
    assert target.read_bytes() == CONTENT
    assert server.asked == asked
    assert seen[-1] == (len(CONTENT), None if server.chunked else len(CONTENT))
    assert list(tmp_path.iterdir()) == [target]


# name -> (bytes in .part, what the request must have asked for)
PARTS = {
    "half": (CONTENT[:1_500_000], ["bytes=1500000-"]),
    "all": (CONTENT, ["bytes=3000000-"]),
    "more than there is: begun anew": (CONTENT + b"xx", ["bytes=3000002-", None]),
}


@pytest.mark.parametrize("case", PARTS)
def test_goes_on_from_an_earlier_call(case, tmp_path):
    part, asked = PARTS[case]
    (tmp_path / "file.zip.part").write_bytes(part)
    server = Server()
    with serving(server) as url:
        assert fetch(url, tmp_path).read_bytes() == CONTENT
    assert server.asked == asked


def test_interrupted_by_the_user_and_called_again(tmp_path):
    server = Server()

    def stop(done, total):
        if done > 1_000_000:
            raise KeyboardInterrupt

    with serving(server) as url:
        with pytest.raises(KeyboardInterrupt):
            download(url, tmp_path / "file.zip", SHA256, stop)
        have = (tmp_path / "file.zip.part").stat().st_size
        assert 1_000_000 < have < len(CONTENT)
        assert fetch(url, tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, f"bytes={have}-"]


def test_a_wrong_checksum_leaves_nothing(tmp_path):
    with serving(Server()) as url, pytest.raises(DataError, match=f"wrong checksum .sha256 {SHA256}, expected 00"):
        fetch(url, tmp_path, sha256="00" * 32)
    assert list(tmp_path.iterdir()) == []


def test_bytes_of_another_file_in_the_part_are_caught(tmp_path):
    (tmp_path / "file.zip.part").write_bytes(b"x" * 1_500_000)
    with serving(Server()) as url, pytest.raises(DataError, match="wrong checksum"):
        fetch(url, tmp_path)


def test_not_there(tmp_path):
    server = Server([(404,)])
    with serving(server) as url, pytest.raises(DataError, match=r"answers HTTP 404 .*--url"):
        fetch(url, tmp_path)
    assert len(server.asked) == 1


def test_gives_up_when_nothing_more_comes_and_keeps_what_there_is(tmp_path):
    server = Server([1_000_000, 0])
    with serving(server) as url, pytest.raises(DataError, match="keeps breaking off at 1000000 bytes .*goes on"):
        fetch(url, tmp_path)
    assert len(server.asked) == 6
    assert (tmp_path / "file.zip.part").stat().st_size == 1_000_000


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        pytest.param(lambda: f"http://127.0.0.1:{closed_port()}/f", "no connection to http.*refused", id="refused"),
        pytest.param(lambda: "http://nowhere.invalid/f", r"no connection to http://nowhere\.invalid/f", id="no name"),
        pytest.param(lambda: "file:///etc/hostname", "not an http or https address", id="scheme"),
    ],
)
def test_no_network_is_one_clear_line(url, message, tmp_path):
    with pytest.raises(DataError, match=message) as caught:
        fetch(url(), tmp_path)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses(tmp_path):
    (tmp_path / "file.zip.part").mkdir()
    with serving(Server()) as url, pytest.raises(SinkError, match=r"cannot write .*file\.zip\.part"):
        fetch(url, tmp_path)

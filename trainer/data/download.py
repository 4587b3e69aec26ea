"""Download one file over HTTP, continuing where an earlier attempt stopped."""

import hashlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from inspector.errors import DataError, SinkError

_CHUNK = 1 << 18
_ATTEMPTS = 5
_TIMEOUT_S = 30.0
Report = Callable[[int, int | None], None]


class _Dropped(Exception):
    """The connection ended before the file did."""


def download(url: str, target: Path, sha256: str | None, report: Report, pause_s: float = 2.0) -> None:
    """Download into `target`; until it is whole and its checksum right, the bytes lie in `<target>.part`.

    A dropped connection is taken up again, and so is an interrupted call's `.part` file. Gives up after five attempts
    in a row that brought nothing.

    Args:
        url: http or https.
        target: the file; its folder must exist.
        sha256: of the whole file, hexadecimal; None skips the comparison.
        report: called with the bytes there are and the bytes there will be (None: unknown).
        pause_s: seconds before another attempt.

    Raises:
        DataError: not reachable, refused, gone, or a wrong checksum (the `.part` file is then deleted).
        SinkError: the disk refuses.
    """
    if not url.lower().startswith(("http://", "https://")):
        raise DataError(f"{url} is not an http or https address")
    part = target.with_name(f"{target.name}.part")
    failures = 0
    while True:
        before = _size(part)
        try:
            _continue(url, part, report)
            break
        except _Dropped as dropped:
            failures = 0 if _size(part) > before else failures + 1
            if failures == _ATTEMPTS:
                raise DataError(
                    f"{url} keeps breaking off at {_size(part)} bytes ({dropped}): run the same command again later, "
                    "it goes on from there"
                ) from None
            time.sleep(pause_s)
    actual = _sha256(part)
    if sha256 is not None and actual != sha256.lower():
        part.unlink()
        raise DataError(
            f"{url} has the wrong checksum (sha256 {actual}, expected {sha256.lower()}): run the command again; "
            "if it stays so and the file is known to be right, give its checksum with --sha256"
        )
    part.replace(target)


def _continue(url: str, part: Path, report: Report) -> None:
    """One request; appends to `part` what it does not have yet. Raises _Dropped when it stays incomplete."""
    have = _size(part)
    response = _open(url, part, have)
    if response is None:
        return
    with response:
        if have and not _continues(response, have):
            have = 0
        length = response.headers.get("Content-Length")
        try:
            with part.open("ab" if have else "wb") as sink:
                _copy(response, sink.write, have, have + int(length) if length else None, report)
        except OSError as error:
            raise SinkError(
                f"cannot write {part}: {error.strerror or error}; free some space or name another"
            ) from error


def _open(url: str, part: Path, have: int) -> http.client.HTTPResponse | None:
    """The answer to a request for the bytes from `have` on; None where there are no more."""
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=_TIMEOUT_S)
        return response
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:
            if error.headers.get("Content-Range") == f"bytes */{have}":
                return None
            part.unlink()
            raise _Dropped("the file there is not the one begun here; starting over") from None
        if error.code in (429, 500, 502, 503, 504):
            raise _Dropped(f"HTTP {error.code}") from None
        raise DataError(f"{url} answers HTTP {error.code} {error.reason}: check the address (--url)") from None
    except urllib.error.URLError as error:
        if have:
            raise _Dropped(str(error.reason)) from None
        raise DataError(f"no connection to {url} ({error.reason}): check the network or the proxy settings") from None
    except (OSError, http.client.HTTPException) as error:
        raise _Dropped(str(error) or type(error).__name__) from None


def _continues(response: http.client.HTTPResponse, have: int) -> bool:
    """Whether the answer is the rest of the file; a server that ignores ranges sends it from the start."""
    return response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")


def _copy(
    response: http.client.HTTPResponse, write: Callable[[bytes], int], have: int, total: int | None, report: Report
) -> None:
    report(have, total)
    while True:
        try:
            chunk = response.read(_CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise _Dropped(str(error) or type(error).__name__) from None
        if not chunk:
            break
        write(chunk)
        have += len(chunk)
        report(have, total)
    if total is not None and have < total:
        raise _Dropped(f"{total - have} bytes missing")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()

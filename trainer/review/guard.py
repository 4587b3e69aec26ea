"""Who may talk to the page: browsers that show this very page, and nobody whom a foreign site sends."""

import ipaddress
import socket
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from fastapi import Request, Response
from fastapi.responses import JSONResponse

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_LARGEST_BODY = 8 * 2**20


def is_loopback(host: str) -> bool:
    """Whether every address of a host name or address is this machine's own loopback."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        return False
    return all(ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback for *_, address in found)


class Guard:
    """Refuses requests under a foreign host name (DNS rebinding) and from foreign pages.

    Args:
        host: the name or address that the page is served on.
        remote: the page is open to other machines, which reach it by any of this machine's addresses.
    """

    def __init__(self, host: str, remote: bool) -> None:
        self._names = {"localhost", host.lower()} | ({socket.gethostname().lower()} if remote else set())
        self._remote = remote

    async def __call__(self, request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        """The middleware."""
        reason = self._foreign(request)
        if reason:
            response: Response = JSONResponse({"error": reason}, 403)
        elif "transfer-encoding" in request.headers or int(request.headers.get("content-length", 0)) > _LARGEST_BODY:
            response = JSONResponse({"error": "the request is too large"}, 413)
        else:
            response = await call_next(request)
        response.headers.update(_HEADERS)
        return response

    def _foreign(self, request: Request) -> str:
        """Why a request is refused; empty where it is not."""
        host = request.headers.get("host", "")
        if not self._is_ours(_name(host)):
            return "this page is not served under that name"
        site = request.headers.get("sec-fetch-site", "none")
        navigation = request.method == "GET" and request.headers.get("sec-fetch-mode") == "navigate"
        if site not in ("same-origin", "none") and not navigation:
            return "requests from other sites are refused"
        if request.method in ("GET", "HEAD"):
            return ""
        origin = request.headers.get("origin")
        if origin is not None and origin != f"{request.url.scheme}://{host}":
            return "requests from other sites are refused"
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return "send application/json"  # a foreign page cannot without asking first
        return ""

    def _is_ours(self, name: str) -> bool:
        if name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or self._remote  # an address cannot be rebound


def _name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""

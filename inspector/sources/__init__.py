"""Where frames come from, behind one port; `create` picks a source by the look of its address."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from inspector.errors import SourceError
from inspector.frames import Frame

SUPPORTED = (
    "a V4L2 device (/dev/video0, or its number), a video file, or a stream (rtsp://, rtsps://, rtmp://, http://, "
    "https://, udp://)"
)
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a camera; None leaves the choice to it.

    Attributes:
        width, height: pixels.
        fps: frames a second.
        pixel_format: four-character code as V4L2 writes it: `MJPG`, `YUYV`, `GREY`, `Y16 ` ...
    """

    width: int | None = None
    height: int | None = None
    fps: float | None = None
    pixel_format: str | None = None


class Source(Protocol):
    """A camera, a stream or a recording. Opened by its constructor; to reconnect, close it and create another.

    Attributes:
        name: what `Frame.source` says, without credentials.
        live: true where frames that are not taken in time are lost.
    """

    name: str
    live: bool

    def frames(self) -> Iterator[Frame]:
        """Yield frames until a recording ends or `close` is called.

        Raises:
            SourceError: a live source stopped delivering.
        """
        ...

    def close(self) -> None:
        """Release the device; safe to call twice."""
        ...


def _device(address: str, request: Request) -> Source:
    from inspector.sources.opencv import open_device

    return open_device(address, request)


def _stream(address: str, request: Request) -> Source:
    from inspector.sources.opencv import open_stream

    return open_stream(address, request)


def _file(address: str, request: Request) -> Source:
    from inspector.sources.opencv import open_file

    return open_file(address, request)


_REGISTRY: dict[str, Callable[[str, Request], Source]] = {
    "file": lambda address, request: _file(address.removeprefix("file://"), request),
    **dict.fromkeys(("rtsp", "rtsps", "rtmp", "http", "https", "udp"), _stream),
}


def create(address: str, request: Request | None = None) -> Source:
    """Open a source.

    Args:
        address: see `SUPPORTED`.
        request: size, rate and pixel format to ask for.

    Raises:
        SourceError: the address is not understood, or the source cannot be opened.
    """
    request = request or Request()
    if address.isdecimal() or address.startswith("/dev/"):
        return _device(address, request)
    scheme = _ADDRESS.match(address)
    kind = "" if scheme is None else scheme[1].lower()
    if kind in _REGISTRY:
        return _REGISTRY[kind](address, request)
    if scheme is None or Path(address).exists():
        return _file(address, request)
    hint = " (OpenCV's wheels are built without GStreamer)" if kind in ("gst", "gstreamer") else ""
    raise SourceError(f"cannot open {kind}: sources{hint}: give {SUPPORTED}")

"""Frames through OpenCV: V4L2 devices, video files and network streams."""

import logging
import os
import stat
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

# Read by OpenCV when it opens its first video: FFmpeg's own complaints would stand beside our one line.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import cv2
import numpy as np

from inspector.errors import SourceError
from inspector.frames import Frame
from inspector.sources import Request

_log = logging.getLogger(__name__)
_OPEN_MS = 10_000
_READ_MS = 5_000
# Formats whose pixels are taken as they are; for all others OpenCV's conversion to BGR is wanted.
_MONO_FORMATS = frozenset({"GREY", "Y10 ", "Y12 ", "Y16 "})

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


class OpenCvSource:
    """See `inspector.sources.Source`.

    Args:
        capture: an opened capture.
        name: for records and messages.
        live: false for recordings.
    """

    def __init__(self, capture: cv2.VideoCapture, name: str, live: bool) -> None:
        self.name = name
        self.live = live
        self._capture = capture
        self._closed = False
        self._lock = threading.Lock()

    def frames(self) -> Iterator[Frame]:
        """Yield frames; one that was announced but cannot be decoded comes as an incomplete frame."""
        number = 0
        while True:
            with self._lock:  # a capture released while it reads crashes the process
                if self._closed:
                    return
                if not self._capture.grab():
                    break
                moment, clock = datetime.now(UTC), time.monotonic_ns()
                decoded, pixels = self._capture.retrieve()
            whole = decoded and pixels is not None and pixels.size > 0
            yield Frame(pixels if whole else np.empty((0, 0), np.uint8), number, self.name, moment, clock, whole)
            number += 1
        if self.live:
            raise SourceError(f"{self.name} stopped delivering after {number} frames: check power, cable and network")
        if not number:
            raise SourceError(f"{self.name} holds no frame that can be decoded: it is damaged or not a video")
        expected = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        if number < expected:
            _log.warning("%s ended after %d of %d frames: it may be damaged", self.name, number, expected)

    def close(self) -> None:
        """Release the device; waits for a read in progress (at most its time limit)."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._capture.release()


def open_device(address: str, request: Request) -> OpenCvSource:
    """Open `/dev/videoN` or the number N. Raises `SourceError`."""
    path = Path(f"/dev/video{address}" if address.isdecimal() else address)
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise SourceError(f"no camera at {path} ({error.strerror}): {_cameras()}") from None
    if not stat.S_ISCHR(mode):
        raise SourceError(f"{path} is not a video device: {_cameras()}")
    if not os.access(path, os.R_OK | os.W_OK):
        raise SourceError(f"no permission to use {path}: add the user to the group that owns it (often 'video')")
    capture = cv2.VideoCapture(str(path), cv2.CAP_V4L2)
    if not capture.isOpened():
        capture.release()
        raise SourceError(f"cannot open {path}: another program may be using it, or it is not a video device")
    for problem in negotiate(capture, request):
        _log.warning("%s: %s", path, problem)
    return OpenCvSource(capture, str(path), live=True)


def open_file(address: str, request: Request) -> OpenCvSource:
    """Open a video file. Raises `SourceError`."""
    path = Path(address)
    if path.is_dir():
        raise SourceError(f"{path} is a folder: score its images with 'inandout-inspect score {path}'")
    if not path.is_file():
        raise SourceError(f"no video at {path}: it is missing or not a regular file")
    if not os.access(path, os.R_OK):
        raise SourceError(f"no permission to read {path}")
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        capture.release()
        raise SourceError(f"{path} is not a video that FFmpeg can read: it is damaged or of another kind")
    if request != Request():
        _log.warning("%s: a recording has its own size, rate and format; what was asked is ignored", path)
    return OpenCvSource(capture, str(path), live=False)


def open_stream(address: str, request: Request) -> OpenCvSource:
    """Open a network stream. Raises `SourceError`, after at most ten seconds."""
    name = without_credentials(address)
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _OPEN_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _READ_MS]
    capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG, limits)
    if not capture.isOpened():
        capture.release()
        raise SourceError(f"cannot open {name}: check the address, the network and the credentials")
    if request != Request():
        _log.warning("%s: size, rate and format of a stream are set at its sender; what was asked is ignored", name)
    # A recording behind http:// knows its length and may end; a camera does neither.
    return OpenCvSource(capture, name, live=capture.get(cv2.CAP_PROP_FRAME_COUNT) <= 0)


def negotiate(capture: cv2.VideoCapture, request: Request) -> list[str]:
    """Ask a device for size, rate and pixel format, read them back, and tell what it did otherwise.

    The format goes first: with V4L2 the sizes and rates on offer depend on it.
    """
    problems = []
    if request.pixel_format is not None:
        code = request.pixel_format.ljust(4)
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*code))
        if code in _MONO_FORMATS:
            capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
        got = int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little").decode("ascii", "replace")
        if got != code:
            problems.append(f"asked for pixel format {code.strip()}, got {got.strip()}")
    asked = [
        (name, wanted, property_id)
        for name, wanted, property_id in (
            ("width", request.width, cv2.CAP_PROP_FRAME_WIDTH),
            ("height", request.height, cv2.CAP_PROP_FRAME_HEIGHT),
            ("frames a second", request.fps, cv2.CAP_PROP_FPS),
        )
        if wanted is not None
    ]
    for _, wanted, property_id in asked:
        capture.set(property_id, wanted)
    for name, wanted, property_id in asked:  # only now: a later wish can change what an earlier one got
        given = capture.get(property_id)
        if abs(given - wanted) > 0.01 * wanted:
            problems.append(f"asked for {wanted:g} {name}, got {given:g}")
    return problems


def without_credentials(address: str) -> str:
    """The address with `user:password@` taken out, fit for records and logs."""
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _cameras() -> str:
    found = sorted(str(path) for path in Path("/dev").glob("video*"))
    return f"this machine has {', '.join(found)}" if found else "this machine has no V4L2 device"

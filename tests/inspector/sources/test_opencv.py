"""Video files for real; devices through their parts, for no test machine has one."""

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from inspector import sources
from inspector.errors import SourceError
from inspector.sources import Request
from inspector.sources.opencv import negotiate, without_credentials


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Twenty frames of 64 x 48, frame n of grey 10 n."""
    path = tmp_path / "belt.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for number in range(20):
        writer.write(np.full((48, 64, 3), number * 10, np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_video_file(video: Path, form: str) -> None:
    source = sources.create(form.format(video))
    frames = list(source.frames())
    source.close()
    source.close()
    assert not source.live and {frame.source for frame in frames} == {str(video)}
    assert [frame.frame_id for frame in frames] == list(range(20))
    for number, frame in enumerate(frames):
        assert frame.complete and frame.pixels.shape == (48, 64, 3)
        assert abs(float(frame.pixels.mean()) - number * 10) < 2
    moments = [frame.monotonic_ns for frame in frames]
    assert moments == sorted(moments) and frames[0].captured_at.tzinfo is not None


def test_closing_ends_the_frames(video: Path) -> None:
    source = sources.create(str(video))
    frames = source.frames()
    next(frames)
    source.close()
    assert list(frames) == []


def test_truncated_video_is_told(video: Path, caplog: pytest.LogCaptureFixture) -> None:
    raw = video.read_bytes()
    video.write_bytes(raw[: len(raw) // 2])
    with caplog.at_level(logging.WARNING):
        try:
            count = len(list(sources.create(str(video)).frames()))
        except SourceError as error:
            assert "damaged" in str(error)
        else:
            assert count < 20 and "it may be damaged" in caplog.text


def test_a_wish_for_a_recording_is_told(video: Path, caplog: pytest.LogCaptureFixture) -> None:
    sources.create(str(video), Request(width=10)).close()
    assert "what was asked is ignored" in caplog.text


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("/dev/video77", "no camera at /dev/video77"),
        ("77", "no camera at /dev/video77"),
        ("/dev/null", "cannot open /dev/null"),
        ("missing.mp4", "no video at missing.mp4"),
        ("gst:v4l2src ! appsink", "without GStreamer.*give a V4L2 device"),
        ("aravis:cam", "cannot open aravis: sources: give a V4L2 device"),
        ("http://127.0.0.1:9/x", "cannot open http://127.0.0.1:9/x: check the address"),
        ("rtsp://operator:secret@127.0.0.1:9/x", "cannot open rtsp://127.0.0.1:9/x: check"),
    ],
)
def test_what_cannot_be_opened(address: str, message: str) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        sources.create(address)
    assert "\n" not in str(caught.value) and "secret" not in str(caught.value)


def test_folder_points_to_score(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="inandout-inspect score"):
        sources.create(str(tmp_path))


def test_text_file_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_text("hello")
    with pytest.raises(SourceError, match="not a video"):
        sources.create(str(tmp_path / "x.mp4"))


class Camera:
    """Takes property settings like a V4L2 capture: size steps to what it offers, the rest stays."""

    def __init__(self) -> None:
        self.order: list[int] = []
        self.values = {
            cv2.CAP_PROP_FOURCC: float(cv2.VideoWriter.fourcc(*"YUYV")),
            cv2.CAP_PROP_FRAME_WIDTH: 640.0,
            cv2.CAP_PROP_FRAME_HEIGHT: 480.0,
            cv2.CAP_PROP_FPS: 30.0,
        }

    def set(self, name: int, value: float) -> bool:
        self.order.append(name)
        if name == cv2.CAP_PROP_FRAME_WIDTH:
            self.values[name] = min(value, 1280.0)
        if name == cv2.CAP_PROP_FOURCC and int(value) == cv2.VideoWriter.fourcc(*"GREY"):
            self.values[name] = value
        return True

    def get(self, name: int) -> float:
        return self.values[name]


@pytest.mark.parametrize(
    ("request_", "problems"),
    [
        (Request(), []),
        (Request(width=1280, height=480, fps=30, pixel_format="GREY"), []),
        (Request(width=1920), ["asked for 1920 width, got 1280"]),
        (Request(fps=120.0), ["asked for 120 frames a second, got 30"]),
        (Request(pixel_format="MJPG"), ["asked for pixel format MJPG, got YUYV"]),
    ],
    ids=["nothing", "granted", "too wide", "too fast", "format"],
)
def test_negotiation(request_: Request, problems: list[str]) -> None:
    assert negotiate(Camera(), request_) == problems


def test_format_goes_first_and_mono_is_not_converted() -> None:
    camera = Camera()
    negotiate(camera, Request(width=640, pixel_format="GREY"))
    assert camera.order == [cv2.CAP_PROP_FOURCC, cv2.CAP_PROP_CONVERT_RGB, cv2.CAP_PROP_FRAME_WIDTH]


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://user:p%40ss@10.0.0.5:554/main?x=1", "rtsp://10.0.0.5:554/main?x=1"),
        ("rtsp://user:p@ss@cam/main", "rtsp://cam/main"),
        ("http://cam/stream", "http://cam/stream"),
    ],
)
def test_credentials_stay_out_of_records(address: str, shown: str) -> None:
    assert without_credentials(address) == shown

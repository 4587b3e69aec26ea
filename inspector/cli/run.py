"""`inandout-inspect run`: judge the frames of a camera, a stream or a video file."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from inspector.cli.options import bundle_option, open_bundle, threads_option

if TYPE_CHECKING:
    from inspector.frames import Verdict
    from inspector.runtime import Policy, Summary


def _size(ctx: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise click.BadParameter("write it as WIDTHxHEIGHT, for example 1280x720")
    return int(width), int(height)


@click.command()
@click.option("--camera", required=True, help="V4L2 device (/dev/video0 or 0), video file, or stream URL.")
@bundle_option
@click.option("--size", callback=_size, metavar="WxH", help="Frame size to ask of the camera.")
@click.option("--fps", type=click.FloatRange(0, min_open=True), help="Frame rate to ask of the camera.")
@click.option("--pixel-format", metavar="CODE", help="Four-character code to ask of the camera: MJPG, YUYV, GREY ...")
@click.option(
    "--policy",
    type=click.Choice(["latest", "every"]),
    help="Judge the newest frame and count the dropped, or judge every one.  [default: latest for cameras and "
    "streams, every for files]",
)
@click.option(
    "--store",
    type=click.Path(path_type=Path, readable=False),
    default=Path("inandout-verdicts.sqlite"),
    show_default=True,
    help="SQLite file of all verdicts; a verdict is on disk before it is printed.",
)
@click.option("--json", "json_lines", is_flag=True, help="One JSON object a line instead of text.")
@click.option("--max-frames", type=click.IntRange(1), help="End after so many frames of the camera.")
@threads_option
def run(
    camera: str,
    bundle: Path | None,
    size: tuple[int, int] | None,
    fps: float | None,
    pixel_format: str | None,
    policy: "Policy | None",
    store: Path,
    json_lines: bool,
    max_frames: int | None,
    threads: int,
) -> None:
    """Judge frames until the video ends or Ctrl-C: one verdict a line on stdout, a summary on stderr."""
    from inspector import backends, lines, runtime, sources
    from inspector.judge import Judge
    from inspector.store import VerdictStore

    if pixel_format is not None and not (3 <= len(pixel_format) <= 4 and pixel_format.isascii()):
        raise click.BadParameter("a four-character code such as MJPG", param_hint="--pixel-format")
    opened = open_bundle(bundle)
    judge = Judge(opened, backends.create("onnxruntime", opened, threads))
    width, height = size or (None, None)
    source = sources.create(camera, sources.Request(width, height, fps, pixel_format))
    form = lines.as_json if json_lines else lines.for_people

    def emit(number: int, verdict: "Verdict") -> None:
        click.echo(form(number, verdict))

    with VerdictStore(store) as verdicts, _stop_on_signals() as stop:
        summary = runtime.inspect(
            source, judge, verdicts, emit, stop, policy or ("latest" if source.live else "every"), max_frames
        )
    click.echo(_text(summary), err=True)
    if summary.failure is not None:
        raise summary.failure


@contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set; a second signal ends the process at once."""
    stop = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, frame: FrameType | None) -> None:
        stop.set()
        for each, handler in before.items():
            signal.signal(each, handler)

    for number in before:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _text(summary: "Summary") -> str:
    verdicts = ", ".join(f"{summary.counts.get(kind, 0)} {kind}" for kind in ("ok", "defect", "review", "invalid"))
    latency = f"; latency p50 {summary.p50_ms:.1f} ms, p95 {summary.p95_ms:.1f} ms" if summary.counts else ""
    return (
        f"{summary.taken} frames, {sum(summary.counts.values())} verdicts ({verdicts}), {summary.dropped} dropped, "
        f"{summary.missed} missed by the source{latency}; {summary.seconds:.1f} s"
    )

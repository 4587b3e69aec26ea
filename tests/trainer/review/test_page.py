"""The page in a real browser: paint a region, see a batch appear, judge by keyboard, undo, reload."""

import shutil
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
import uvicorn

from trainer.review import accepted
from trainer.review.app import create_app
from trainer.review.guard import Guard
from trainer.review.painter import Painter
from trainer.review.run_folder import open_run
from trainer.review.server import listen
from trainer.review.store import ReviewStore
from trainer.review.studio import Studio

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium"),
]
PATIENCE_MS = 30_000


@contextmanager
def served(run: Path, generator: str, target: int = 5):
    """The page's address, served by the real server from a thread."""
    painter, store = Painter(generator, open_run(run)), run / accepted.STORE
    with listen("127.0.0.1", 0) as listener, Studio(painter, run, store) as studio:
        app = create_app(painter, studio, store, target, Guard("127.0.0.1", remote=False))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none"))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join(30)


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium):
    """`open_page(run, generator) -> Page` of a running server; anything on the page's console fails the test."""
    complaints: list[str] = []
    with ExitStack() as stack:

        def visit(run: Path, generator: str):
            address = stack.enter_context(served(run, generator))
            context = chromium.new_context(viewport={"width": 1400, "height": 900})
            stack.callback(context.close)  # before the server ends
            context.set_default_timeout(PATIENCE_MS)
            page = context.new_page()
            page.on("console", lambda message: complaints.append(message.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(address)
            page.wait_for_selector("#draw:enabled")
            return page

        yield visit
    assert complaints == []


def events(run: Path) -> list[tuple[int, str]]:
    import sqlite3

    with sqlite3.connect(run / accepted.STORE) as direct:
        return direct.execute("SELECT image, kind FROM events ORDER BY id").fetchall()


def press(page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def shows(page, selector: str, text: str) -> None:
    page.wait_for_function(
        "([at, text]) => document.querySelector(at)?.textContent.includes(text)", arg=[selector, text]
    )


def until(condition) -> None:
    end = time.monotonic() + PATIENCE_MS / 1000
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def tiles(page, which: str = "") -> int:
    return page.locator(f".tile[data-id]{which}").count()


def test_paint_draw_judge_undo_reload(run, painters, open_page):
    page = open_page(run.path, "painter")
    page.fill("#prompt", "a long crack")
    page.click("#normals button >> nth=2")
    page.click("#tool-rectangle")
    box = page.locator("#region").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.75, steps=4)
    page.mouse.up()
    page.fill("#wanted", "4")
    page.fill("#seed", "21")
    page.click("#draw")
    shows(page, "#drawing-text", "4 of 4 drawn")
    until(lambda: tiles(page) == 4)

    first = cv2.imread(str(run.path / "review/images/00001_000_mask.png"), cv2.IMREAD_UNCHANGED)
    wanted = np.zeros((48, 32), np.uint8)
    wanted[24:36, 8:24] = 255  # a quarter to three quarters of 32, a half to three quarters of 48
    assert (first != wanted).mean() < 0.05, "the region is not where the mouse drew it"
    with ReviewStore(run.path / accepted.STORE) as store:
        found = store.images()
    assert [(image.prompt, image.seed) for image in found] == [("a long crack", seed) for seed in (21, 22, 23, 24)]
    assert {image.source for image in found} == {str(run.normals[2])}

    press(page, "a", "r", "f")
    until(lambda: events(run.path) == [(1, "accept"), (2, "reject"), (3, "flag")])
    shows(page, "#target-text", "1 of 5 accepted")
    shows(page, "#next-build-text", "1 accepted: the next build of this run trains on them")
    press(page, "u")
    until(lambda: events(run.path)[3:] == [(3, "undo")])
    press(page, "Control+z")
    until(lambda: events(run.path)[4:] == [(2, "undo")])
    shows(page, "#message", "Undone: image 2")
    press(page, "a")
    until(lambda: events(run.path)[5:] == [(2, "accept")])

    page.reload()
    page.wait_for_selector("#draw:enabled")
    until(lambda: tiles(page) == 4 and tiles(page, "[data-judgement=accept]") == 2)
    shows(page, "#target-text", "2 of 5 accepted")
    assert page.input_value("#prompt") == "a long crack"
    assert page.locator("#region-clear").is_enabled(), "the region is gone after a reload"
    assert [image.path.name for image in accepted.load(run.path)] == ["00001_000.png", "00001_001.png"]


def test_strokes_are_taken_back_and_cleared(run, painters, open_page):
    painted = """() => {
        const brush = new OffscreenCanvas(32, 48).getContext("2d");
        brush.drawImage(document.querySelector("#region"), 0, 0);
        return brush.getImageData(0, 0, 32, 48).data.filter(value => value).length;
    }"""
    page = open_page(run.path, "painter")
    box = page.locator("#region").bounding_box()
    sizes = [page.evaluate(painted)]
    for height in (0.3, 0.6):
        page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] * height)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] * height, steps=5)
        page.mouse.up()
        sizes.append(page.evaluate(painted))
    assert 0 == sizes[0] < sizes[1] < sizes[2]
    page.click("#stroke-undo")
    assert page.evaluate(painted) == sizes[1]
    page.click("#region-clear")
    assert page.evaluate(painted) == 0 and not page.locator("#stroke-undo").is_enabled()


def test_progress_and_stop(run, painters, open_page):
    page = open_page(run.path, "painter")
    page.fill("#prompt", "p")
    page.fill("#wanted", "20")
    painters.GO_ON.clear()
    page.click("#draw")
    shows(page, "#drawing-text", "0 of 20")
    until(lambda: page.locator(".tile.coming").count() == 20)
    page.click("#stop")
    shows(page, "#drawing-text", "Stopping")
    painters.GO_ON.set()
    page.wait_for_selector("#draw:enabled")
    shows(page, "#drawing-text", "of 20 drawn")
    assert page.locator(".tile.coming").count() == 0 and tiles(page) < 20


def test_a_failure_is_shown(run, painters, open_page):
    page = open_page(run.path, "painter")
    page.fill("#prompt", "impossible")
    page.click("#draw")
    shows(page, "#drawing-problem", "the prompt has too many words: shorten it")


def test_filters_arrows_and_keys(run, painters, open_page):
    run.generated(*range(10, 130, 10))
    page = open_page(run.path, "memseg")
    until(lambda: tiles(page) == 12)
    assert not page.locator("#prompt").is_visible() and not page.locator("#region").is_visible()
    current = lambda: page.locator(".tile[aria-current=true]").get_attribute("data-id")  # noqa: E731
    columns = page.evaluate("getComputedStyle(document.querySelector('.tiles')).gridTemplateColumns.split(' ').length")
    assert current() == "1" and 1 < columns < 12
    press(page, "ArrowRight", "ArrowRight", "ArrowLeft")
    assert current() == "2"
    press(page, "ArrowDown")
    assert current() == str(2 + columns)
    press(page, "ArrowUp", "ArrowLeft")
    assert current() == "1"
    press(page, "r", "a")
    until(lambda: len(events(run.path)) == 2)
    for name, shown in (("reject", ["1"]), ("accept", ["2"]), ("open", [str(n) for n in range(3, 13)])):
        page.click(f"[data-filter={name}]")
        assert page.eval_on_selector_all(".tile[data-id]", "all => all.map(tile => tile.dataset.id)") == shown
    outline = page.locator(".tile .outline").first
    assert outline.is_visible()
    press(page, "m")
    assert not outline.is_visible()
    press(page, "z")
    assert page.locator("#picture").bounding_box()["width"] == 1400
    press(page, "Escape")
    assert page.locator("#picture").bounding_box()["width"] < 400
    assert accepted.rejected(run.path) == {"train/00000.png"}


def test_letters_typed_into_the_prompt_judge_nothing(run, painters, open_page):
    run.generated(10)
    page = open_page(run.path, "painter")
    until(lambda: tiles(page) == 1)
    page.fill("#prompt", "")
    page.type("#prompt", "a far mu")
    assert page.input_value("#prompt") == "a far mu"
    press(page, "Escape", "f")
    until(lambda: events(run.path) == [(1, "flag")])


def test_a_batch_can_be_drawn_again_with_its_prompt_and_region(run, painters, open_page):
    page = open_page(run.path, "painter")
    page.fill("#prompt", "first")
    box = page.locator("#region").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.up()
    page.fill("#wanted", "1")
    page.click("#draw")
    until(lambda: tiles(page) == 1)
    page.click("#region-clear")
    page.fill("#prompt", "second")
    page.click("#again")
    page.wait_for_selector("#region-clear:enabled")
    assert page.input_value("#prompt") == "first"
    page.wait_for_selector("#draw:enabled")
    page.click("#draw")
    until(lambda: tiles(page) == 2)
    masks = [cv2.imread(str(run.path / f"review/images/0000{batch}_000_mask.png"), 0) for batch in (1, 2)]
    assert masks[0].any()
    np.testing.assert_array_equal(masks[0], masks[1])


@pytest.mark.parametrize("width", [1400, 800, 480])
def test_nothing_overflows_the_window(run, painters, open_page, width):
    run.generated(10, 20, 30)
    page = open_page(run.path, "painter")
    page.set_viewport_size({"width": width, "height": 900})
    until(lambda: tiles(page) == 3)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    inside = "all => all.every(each => each.getBoundingClientRect().right <= window.innerWidth + 1)"
    assert page.eval_on_selector_all("button:not(#normals button), input, textarea", inside)

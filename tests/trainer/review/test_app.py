"""The application's answers, and whom it does not answer."""

import base64
import time

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient

from trainer.review import accepted
from trainer.review.app import create_app
from trainer.review.guard import Guard, is_loopback
from trainer.review.painter import Painter
from trainer.review.run_folder import open_run
from trainer.review.studio import Studio

HOST = "127.0.0.1:8071"


@pytest.fixture
def client(run, painters, settle):
    """A client of a run with two images of its last build, `painter` drawing."""
    run.generated(10, 20)
    painter = Painter("painter", open_run(run.path))
    store = run.path / accepted.STORE
    with Studio(painter, run.path, store) as studio:
        settle(studio)
        app = create_app(painter, studio, store, 5, Guard("127.0.0.1", remote=False))
        with TestClient(app, base_url=f"http://{HOST}") as made:
            yield made


def drawn(client, **order):
    answer = client.post("/api/draw", json={"wanted": 2, "seed": 3, "prompt": "p", **order})
    assert answer.status_code == 200, answer.text
    for _ in range(2000):
        if client.get("/api/state").json()["progress"]["state"] == "idle":
            break
        time.sleep(0.01)
    return [image for image in client.get("/api/images").json()["images"] if image["batch"]]


def region(*rows: slice) -> str:
    pixels = np.zeros((48, 32), np.uint8)
    for row in rows:
        pixels[row] = 255
    return base64.b64encode(cv2.imencode(".png", pixels)[1]).decode()


def test_draw_judge_undo(client, run):
    first, second = drawn(client, normal=4, region=region(slice(0, 12)))
    assert (first["prompt"], first["seed"], first["source"], first["judgement"]) == ("p", 3, "04.png", None)
    answer = client.post(f"/api/images/{first['id']}/judgement", json={"judgement": "accept"}).json()
    assert answer["image"]["judgement"] == "accept"
    assert [image.path.name for image in accepted.load(run.path)] == ["00001_000.png"]
    answer = client.post("/api/undo", json={}).json()
    assert (answer["image"]["id"], answer["image"]["judgement"]) == (first["id"], None)
    assert client.post("/api/undo", json={}).json()["image"] is None
    assert second["judgement"] is None


def test_pictures_outlines_regions_and_good_images(client, run):
    (first, _) = drawn(client, normal=4, region=region(slice(0, 12)))
    picture = client.get(f"/api/images/{first['id']}/picture")
    assert picture.headers["content-type"] == "image/png"
    assert picture.content == (run.path / first["file"]).read_bytes()
    assert client.get(f"/api/images/{first['id']}/outline").text.startswith("<svg")
    (batch,) = client.get("/api/images").json()["batches"]
    assert batch["normal_index"] == 4
    stored = cv2.imdecode(np.frombuffer(client.get("/api/batches/1/region").content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert (stored[:12] == 255).all() and not stored[12:].any()
    assert client.get("/api/normals/4").json() == {"normal": 4, "name": "04.png"}
    part = cv2.imdecode(np.frombuffer(client.get("/api/normals/4/picture").content, np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(part, cv2.imread(str(run.normals[4])))


def test_the_last_build_is_shown_and_can_be_rejected(client, run):
    client.get("/api/state")
    found = client.get("/api/images").json()["images"]
    assert [image["file"] for image in found] == ["generate/train/00000.png", "generate/train/00001.png"]
    client.post(f"/api/images/{found[0]['id']}/judgement", json={"judgement": "reject"})
    assert accepted.rejected(run.path) == {"train/00000.png"}


def test_the_revision_follows_every_change(client, run):
    seen = [client.get("/api/state").json()["revision"]]
    drawn(client)
    seen.append(client.get("/api/state").json()["revision"])
    client.post("/api/images/1/judgement", json={"judgement": "flag"})
    seen.append(client.get("/api/state").json()["revision"])
    run.generated(30, 40)
    seen.append(client.get("/api/state").json()["revision"])
    assert len({tuple(revision.items()) for revision in seen}) == 4
    assert client.get("/api/state").json()["revision"] == seen[-1]


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        pytest.param("/api/draw", {"wanted": 0}, 422, "wanted", id="no image wanted"),
        pytest.param("/api/draw", {"wanted": 65, "prompt": "p"}, 422, "wanted", id="too many"),
        pytest.param("/api/draw", {"wanted": 1, "prompt": "p", "seed": -1}, 422, "seed", id="seed"),
        pytest.param("/api/draw", {"wanted": 1, "prompt": ""}, 400, "the prompt is empty", id="no prompt"),
        pytest.param("/api/draw", {"wanted": 1, "prompt": "p", "region": "?"}, 400, "not base64", id="not base64"),
        pytest.param("/api/draw", {"wanted": 1, "prompt": "p", "region": "aaaa"}, 400, "not an image", id="no image"),
        pytest.param("/api/draw", {"wanted": 1, "prompt": "p", "colour": "red"}, 422, "colour", id="unknown field"),
        pytest.param("/api/images/1/judgement", {"judgement": "maybe"}, 422, "judgement", id="judgement"),
        pytest.param("/api/images/99/judgement", {"judgement": "flag"}, 400, "no image 99", id="no such image"),
    ],
)
def test_refusals_in_one_line(client, path, body, status, says):
    answer = client.post(path, json=body)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert says in answer.json()["error"] and "\n" not in answer.json()["error"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 200, id="a program on this machine"),
        pytest.param({"origin": f"http://{HOST}", "sec-fetch-site": "same-origin"}, 200, id="the page"),
        pytest.param({"host": "localhost:8071", "origin": "http://localhost:8071"}, 200, id="the page by name"),
        pytest.param({"host": "[::1]:8071"}, 200, id="the other loopback"),
        pytest.param({"host": "evil.example"}, 403, id="rebound name"),
        pytest.param({"host": "evil.example:8071", "origin": "http://evil.example:8071"}, 403, id="rebound page"),
        pytest.param({"host": "192.168.1.2:8071"}, 403, id="an address that is not loopback"),
        pytest.param({"host": ""}, 403, id="no name"),
        pytest.param({"origin": "http://evil.example"}, 403, id="foreign page"),
        pytest.param({"origin": "http://127.0.0.1:9999"}, 403, id="page of another port"),
        pytest.param({"origin": "null"}, 403, id="sandboxed page"),
        pytest.param({"sec-fetch-site": "cross-site"}, 403, id="foreign page without origin"),
        pytest.param({"content-type": "text/plain"}, 403, id="a form's content type"),
        pytest.param({"content-length": str(9 * 2**20)}, 413, id="too large"),
    ],
)
def test_who_may_post(client, headers, status):
    answer = client.post("/api/stop", content=b"{}", headers={"content-type": "application/json", **headers})
    assert answer.status_code == status


def test_who_may_look(client):
    assert client.get("/api/images", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    page = client.get("/", headers=link)
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert client.get("/api/images", headers={"host": "evil.example"}).headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("host", "remote", "ours"),
    [
        ("192.168.1.2", True, True),
        ("192.168.1.2", False, False),
        ("evil.example", True, False),
        ("camera-pc", True, True),
        ("localhost", False, True),
    ],
)
def test_remote_pages_answer_to_addresses_and_the_given_name(host, remote, ours):
    assert Guard("camera-pc", remote)._is_ours(host) is ours


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)],
)
def test_loopback(host, loopback):
    assert is_loopback(host) is loopback

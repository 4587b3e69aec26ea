"""The page's web application: what the browser asks, answered from the run, the studio and the store."""

import base64
import binascii
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict, Field

from inspector.errors import DataError, InandoutError, SinkError
from trainer.review import page
from trainer.review.built import LastBuild
from trainer.review.guard import Guard
from trainer.review.masks import outline_svg, region_of
from trainer.review.painter import Order, Painter
from trainer.review.store import Judgement, Reviewed, ReviewStore
from trainer.review.studio import Studio

LARGEST_BATCH = 64
LARGEST_SEED = 2**31 - LARGEST_BATCH
_PAGE = Path(page.__file__).parent
_THUMBNAIL = 112
_KEEP = {"Cache-Control": "private, max-age=86400, immutable"}


class DrawRequest(BaseModel):
    """An order as the page sends it; see `trainer.review.painter.Order`."""

    model_config = ConfigDict(extra="forbid")

    wanted: int = Field(ge=1, le=LARGEST_BATCH)
    seed: int | None = Field(None, ge=0, lt=LARGEST_SEED)
    prompt: str | None = Field(None, max_length=2000)
    normal: int | None = Field(None, ge=0)
    region: str | None = Field(None, description="a PNG file of the model's size in base64, white where to paint")
    vary: bool = False


class JudgementRequest(BaseModel):
    """A judgement as the page sends it."""

    model_config = ConfigDict(extra="forbid")

    judgement: Judgement


def create_app(painter: Painter, studio: Studio, store_file: Path, target: int, guard: Guard) -> FastAPI:
    """Make the application.

    Endpoints that touch the store are coroutines: they all run on the one thread that opened it.

    Args:
        painter: the generator.
        studio: draws with it.
        store_file: the review store.
        target: accepted images that the person works towards.
        guard: decides whose requests are answered.
    """
    folder = painter.folder
    last_build = LastBuild(folder.path)
    key = secrets.token_hex(4)  # addresses of pictures change with each start: another run has other pictures
    positions = {str(normal): number for number, normal in enumerate(folder.normals)}
    stores: list[ReviewStore] = []

    def revision() -> dict[str, int | None]:
        return {**stores[0].revision(), "built": last_build.stamp}

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with ReviewStore(store_file) as store:
            stores.append(store)
            yield

    app = FastAPI(title="inandout review", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.middleware("http")(guard)
    app.mount("/page", StaticFiles(directory=_PAGE), name="page")

    @app.exception_handler(InandoutError)
    async def _refuse(_: Request, error: InandoutError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 507 if isinstance(error, SinkError) else 400)

    @app.exception_handler(RequestValidationError)
    async def _misread(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        return JSONResponse({"error": f"{where}: {first['msg']}"}, 422)

    @app.get("/")
    async def index() -> FileResponse:
        return FileResponse(_PAGE / "index.html", headers={"Cache-Control": "no-cache"})

    @app.get("/api/setup")
    async def setup() -> dict[str, Any]:
        return {
            "run": str(folder.path),
            "scenario": folder.recipe.scenario,
            "generator": painter.name,
            "steered_by": sorted(painter.steered_by),
            "prompts": painter.prompts,
            "width": folder.recipe.input.width,
            "height": folder.recipe.input.height,
            "normals": len(folder.normals),
            "target": target,
            "largest_batch": LARGEST_BATCH,
            "next_build": folder.next_build(),
            "key": key,
        }

    @app.get("/api/state")
    async def state() -> dict[str, Any]:
        last_build.refresh(stores[0])
        return {"progress": asdict(studio.progress), "revision": revision()}

    @app.get("/api/images")
    async def images(after: int = 0) -> dict[str, Any]:
        return {
            "revision": revision(),
            "batches": [
                {**asdict(batch), "normal_index": positions.get(batch.normal or "")} for batch in stores[0].batches()
            ],
            "images": [_told(image) for image in stores[0].images(after)],
        }

    @app.get("/api/images/{number}/picture")
    async def picture(number: int) -> FileResponse:
        path = folder.path / stores[0].image(number).path
        if not path.is_file():
            raise DataError(f"{path} is gone")
        return FileResponse(path, media_type="image/png", headers=_KEEP)

    @app.get("/api/images/{number}/outline")
    async def outline(number: int) -> Response:
        image = stores[0].image(number)
        if image.mask is None:
            raise DataError(f"image {number} has no mask")
        return Response(outline_svg(folder.path / image.mask), media_type="image/svg+xml", headers=_KEEP)

    @app.post("/api/images/{number}/judgement")
    async def judge(number: int, request: JudgementRequest) -> dict[str, Any]:
        image = stores[0].judge(number, request.judgement)
        return {"image": _told(image), "revision": revision()}

    @app.post("/api/undo")
    async def undo() -> dict[str, Any]:
        image = stores[0].undo()
        return {"image": None if image is None else _told(image), "revision": revision()}

    @app.get("/api/batches/{number}/region")
    async def region(number: int) -> FileResponse:
        found = next((batch for batch in stores[0].batches() if batch.id == number), None)
        if found is None or found.region is None:
            raise DataError(f"batch {number} has no region")
        return FileResponse(folder.path / found.region, media_type="image/png", headers=_KEEP)

    @app.get("/api/normals/{number}/picture")
    def normal(number: int, thumbnail: bool = False) -> Response:
        part = cv2.cvtColor(painter.part(number), cv2.COLOR_RGB2BGR)
        if thumbnail:
            scale = _THUMBNAIL / part.shape[0]
            size = max(1, round(part.shape[1] * scale)), _THUMBNAIL
            part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
        _, encoded = cv2.imencode(".png", part)
        return Response(encoded.tobytes(), media_type="image/png", headers=_KEEP)

    @app.get("/api/normals/{number}")
    def normal_name(number: int) -> dict[str, Any]:
        painter.part(number)
        return {"normal": number, "name": folder.normals[number].name}

    @app.post("/api/draw")
    def draw(request: DrawRequest) -> dict[str, Any]:
        studio.draw(
            Order(
                wanted=request.wanted,
                seed=secrets.randbelow(LARGEST_SEED) if request.seed is None else request.seed,
                prompt=request.prompt,
                normal=request.normal,
                region=None if request.region is None else region_of(_decoded(request.region)),
                vary=request.vary,
            )
        )
        return {"progress": asdict(studio.progress)}

    @app.post("/api/stop")
    async def stop() -> dict[str, Any]:
        studio.stop()
        return {"progress": asdict(studio.progress)}

    return app


def _told(image: Reviewed) -> dict[str, Any]:
    """An image as the page needs it: names of files instead of paths, and a version that follows the content."""
    return {
        "id": image.id,
        "batch": image.batch,
        "split": image.split,
        "generator": image.provenance.get("generator"),
        "prompt": image.prompt,
        "seed": image.seed,
        "index": image.provenance.get("index"),
        "source": None if image.source is None else Path(image.source).name,
        "made_at": image.made_at,
        "has_mask": image.mask is not None,
        "version": image.sha256[:12],
        "file": image.path,
        "judgement": image.judgement,
        "judged_at": image.judged_at,
    }


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise DataError("the region is not base64: reload the page") from None

"""Route the requests of the local server: the page and its API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import get_args

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from fomm_cli.animation.options import AnimateJob
from fomm_cli.errors import FommError, InputError
from fomm_cli.extras import ENGINE_EXTRAS, is_installed
from fomm_cli.faces.options import CheckJob
from fomm_cli.models.catalogue import CATALOGUE
from fomm_cli.options import described
from fomm_cli.version import __version__
from fomm_cli.web import tasks
from fomm_cli.web.files import CONTENT_TYPES
from fomm_cli.web.jobs import Job
from fomm_cli.web.limits import UPLOAD_PATH
from fomm_cli.web.requests import CheckRequest, job_request, read_request
from fomm_cli.web.security import error_response
from fomm_cli.web.studio import MOTION, Studio, result_path
from fomm_cli.web.worker import StoppedError

ASSETS = Path(__file__).resolve().parent.parent / "assets" / "web"
_ASSET_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_HEARTBEAT = 15.0  # seconds between two signs of life of an event stream
_INERT = {"Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'"}

_AS_FORM = "Send it as a form with the field 'file', as curl -F file=@FILE does"

Handler = Callable[[Request], Awaitable[Response]]


def routes(studio: Studio) -> list[BaseRoute]:
    """Return all routes of the page and the API."""
    api = Api(studio)

    async def live(socket: WebSocket) -> None:
        await studio.live.serve(socket)

    return [
        Route("/", api.page),
        Route("/assets/{token}/{name}", api.asset),
        Route("/api/options", answering(api.options)),
        Route(UPLOAD_PATH, answering(api.upload), methods=["POST"]),
        Route("/api/files/{id}", answering(api.file)),
        Route("/api/files/{id}", answering(api.remove_file), methods=["DELETE"]),
        Route("/api/files/{id}/preview", answering(api.preview)),
        Route("/api/check", answering(api.check), methods=["POST"]),
        Route("/api/jobs", answering(api.jobs)),
        Route("/api/jobs", answering(api.start), methods=["POST"]),
        Route("/api/jobs/{id}", answering(api.job)),
        Route("/api/jobs/{id}", answering(api.remove_job), methods=["DELETE"]),
        Route("/api/jobs/{id}/cancel", answering(api.cancel), methods=["POST"]),
        Route("/api/jobs/{id}/events", answering(api.events)),
        Route("/api/jobs/{id}/result", answering(api.result)),
        WebSocketRoute("/api/live", live),
    ]


def answering(handler: Handler) -> Handler:
    """Wrap a handler so that its errors become answers."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except InputError as error:
            return error_response(400, error.problem, error.next_step)
        except FommError as error:
            return error_response(500, error.problem, error.next_step)
        except KeyError:
            return error_response(404, "there is no such file or job", "It may have been removed")
        except StoppedError:
            return error_response(503, "fomm was ended", "Start it again: fomm web")
        except HTTPException as error:  # an upload that is no form
            return error_response(error.status_code, f"the upload cannot be read ({error.detail})", _AS_FORM)

    return answer


class Api:
    """Answer requests, with one method for each route."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    async def page(self, _request: Request) -> Response:
        """Return the page."""
        text = (ASSETS / "index.html").read_text(encoding="utf-8")
        return HTMLResponse(text.replace("{token}", self._studio.token).replace("{version}", __version__))

    async def asset(self, request: Request) -> Response:
        """Return a script, style sheet or image of the page."""
        known = {path.name: path for path in ASSETS.iterdir()}
        path = known.get(request.path_params["name"])
        if path is None or path.suffix not in _ASSET_TYPES:
            return error_response(404, "there is no such file")
        return FileResponse(path, media_type=_ASSET_TYPES[path.suffix])

    async def options(self, _request: Request) -> Response:
        """Return what can be chosen: models, motions and engines on this machine."""
        _, engines = described(AnimateJob)["engine"]
        return JSONResponse(
            {
                "version": __version__,
                "models": [name for name, entry in CATALOGUE.items() if entry.local() is not None],
                "motions": self._studio.motions,
                "engines": [
                    name for name in get_args(engines) if name not in ENGINE_EXTRAS or is_installed(ENGINE_EXTRAS[name])
                ],
                "can_score": is_installed("faces"),
                "upload_bytes": self._studio.limits.upload_bytes,
                "suffixes": sorted(CONTENT_TYPES),
            }
        )

    async def upload(self, request: Request) -> Response:
        """Keep the file of a form with one field, `file`."""
        async with request.form(max_files=1, max_fields=1) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                raise InputError("the form has no field 'file' with a file", _AS_FORM)
            stored = await asyncio.to_thread(self._studio.files.add, file.filename or "file", file.file, file.size or 0)
        return JSONResponse(stored.described(), 201)

    async def file(self, request: Request) -> Response:
        """Return an uploaded file."""
        file = self._studio.files.get(request.path_params["id"])
        return FileResponse(file.path, media_type=file.content_type, headers=_INERT)

    async def remove_file(self, request: Request) -> Response:
        """Delete an uploaded file."""
        self._studio.files.remove(request.path_params["id"])
        return Response(status_code=204)

    async def preview(self, request: Request) -> Response:
        """Return a JPEG of an image, or of the first frame of a video."""
        file = self._studio.files.get(request.path_params["id"])
        preview = self._studio.folder / "files" / f"{file.id.replace(':', '-')}.preview.jpg"
        if not preview.exists():
            await self._studio.look(tasks.draw_preview, {"path": file.path, "preview": preview})
        return FileResponse(preview, media_type="image/jpeg", headers=_INERT)

    async def check(self, request: Request) -> Response:
        """Judge a source, and the beginning of a driving video if one is given."""
        asked = read_request(CheckRequest, await request.body())
        driving = None
        if asked.driving is not None and not asked.driving.startswith(MOTION):
            driving = self._studio.file(asked.driving).path
        if driving is not None and driving.suffix == ".npz":
            driving = None  # a motion shows no face
        job = CheckJob(self._studio.file(asked.source).path, driving, asked.fit, asked.face)
        return JSONResponse(await self._studio.look(tasks.check_files, {"job": job}))

    async def jobs(self, _request: Request) -> Response:
        """Return all jobs, the oldest first."""
        return JSONResponse([job.described() for job in self._studio.queue.jobs])

    async def start(self, request: Request) -> Response:
        """Put a job into the queue."""
        job = self._studio.new_job(job_request(await request.body()))
        self._studio.queue.add(job)
        return JSONResponse(job.described(), 202)

    async def job(self, request: Request) -> Response:
        """Return the state of a job."""
        return JSONResponse(self._studio.queue.get(request.path_params["id"]).described())

    async def remove_job(self, request: Request) -> Response:
        """Cancel a job and remove its result."""
        self._studio.queue.remove(request.path_params["id"])
        return Response(status_code=204)

    async def cancel(self, request: Request) -> Response:
        """Cancel a job."""
        return JSONResponse(self._studio.queue.cancel(request.path_params["id"]).described())

    async def events(self, request: Request) -> Response:
        """Return the state of a job now and after every change, as server-sent events."""
        job = self._studio.queue.get(request.path_params["id"])
        return StreamingResponse(_events(job, self._studio.closing), media_type="text/event-stream")

    async def result(self, request: Request) -> Response:
        """Return the file that a job made; ranges are answered, so that it can be seeked."""
        job = self._studio.queue.get(request.path_params["id"])
        path = result_path(job)
        name = f"{job.title.replace(' · ', '-')}{path.suffix}"
        kind = "attachment" if "download" in request.query_params else "inline"
        return FileResponse(
            path, media_type=CONTENT_TYPES[path.suffix], filename=name, content_disposition_type=kind, headers=_INERT
        )


async def _events(job: Job, closing: asyncio.Event) -> AsyncIterator[str]:
    changes = job.changes()
    ending = asyncio.ensure_future(closing.wait())
    coming = asyncio.ensure_future(anext(changes, None))
    try:
        while True:
            await asyncio.wait({ending, coming}, timeout=_HEARTBEAT, return_when=asyncio.FIRST_COMPLETED)
            if closing.is_set():
                return
            if not coming.done():
                yield ": alive\n\n"
                continue
            description = coming.result()
            if description is None:
                return
            yield f"event: {description['state']}\ndata: {json.dumps(description)}\n\n"
            coming = asyncio.ensure_future(anext(changes, None))
    finally:
        ending.cancel()
        coming.cancel()

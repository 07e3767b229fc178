"""The live socket: one camera frame in, one animated frame out."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from fomm_cli.errors import FommError, InputError
from fomm_cli.web import live_tasks
from fomm_cli.web.limits import Limits
from fomm_cli.web.requests import LiveCommand, LiveStart, read_request
from fomm_cli.web.worker import StoppedError, Worker

_HEADER = struct.Struct("<d")  # when the frame was captured, in seconds of the client's clock
_LENGTH = struct.Struct("<I")
_TRY_LATER, _WRONG, _BROKEN = 1013, 1008, 1011


class LiveSockets:
    """Serves live sessions, as many at a time as the limits allow."""

    def __init__(self, folder: Path, limits: Limits, find: Callable[[str], Path]) -> None:
        """Take the folder of the server, its limits, and what finds the file of an id.

        `find` raises InputError where there is none.
        """
        self._folder = folder
        self._limits = limits
        self._find = find
        self._workers: set[Worker] = set()

    async def serve(self, socket: WebSocket) -> None:
        """Run one session until the client leaves.

        The client sends a `LiveStart` as text, then frames as binary messages (8 bytes: the time of capture, a
        little-endian double; then a JPEG, PNG or WebP), the next one after the answer to the last. Between them it may
        send a `LiveCommand` as text. An answer is 4 bytes, the length of a JSON text, that text, and a JPEG.
        """
        await socket.accept()
        if len(self._workers) >= self._limits.sockets:
            await socket.close(_TRY_LATER, "another page is live already: stop it there first")
            return
        worker = Worker(self._folder)
        self._workers.add(worker)
        try:
            await self._session(socket, worker)
        except WebSocketDisconnect:
            pass
        except StoppedError:
            await _close(socket, _BROKEN, "fomm was ended")
        except InputError as error:
            await _close(socket, _WRONG, str(error))
        except FommError as error:
            await _close(socket, _BROKEN, str(error))
        except (TimeoutError, asyncio.TimeoutError):
            await _close(socket, _WRONG, "no start message came")
        finally:
            self._workers.discard(worker)
            worker.stop()

    def stop(self) -> None:
        """End all sessions."""
        for worker in list(self._workers):
            worker.stop()

    async def _session(self, socket: WebSocket, worker: Worker) -> None:
        text = await asyncio.wait_for(socket.receive_text(), self._limits.pause_seconds)
        start = read_request(LiveStart, text)
        arguments = {"avatars": [self._find(each) for each in start.avatars], "motion_scale": start.motion_scale}
        opened = await asyncio.to_thread(worker.run, live_tasks.open_session, arguments)
        await socket.send_json({"type": "ready", **opened})
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("bytes") is not None:
                await socket.send_bytes(await self._answer(worker, message["bytes"]))
            else:
                command = read_request(LiveCommand, message["text"])
                await asyncio.to_thread(worker.run, live_tasks.command, command.model_dump())

    async def _answer(self, worker: Worker, message: bytes) -> bytes:
        if len(message) <= _HEADER.size:
            raise InputError("a frame is empty", "Send 8 bytes of time and a JPEG")
        arguments = {
            "captured_at": _HEADER.unpack_from(message)[0],
            "frame": message[_HEADER.size :],
            "most_pixels": self._limits.frame_side,
        }
        picture, figures = await asyncio.to_thread(worker.run, live_tasks.animate_frame, arguments)
        return packed(figures, picture)


def packed(figures: dict[str, Any], picture: bytes) -> bytes:
    """Return an answer: the length of the figures, the figures as JSON, and the picture."""
    text = json.dumps(figures).encode()
    return _LENGTH.pack(len(text)) + text + picture


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    try:
        await socket.send_json({"type": "error", "problem": reason})
        await socket.close(code, reason.encode()[:120].decode(errors="ignore"))
    except (RuntimeError, WebSocketDisconnect):
        return  # the client has left already

"""Serve live sessions by WebSocket: camera frames in, animated frames out, in the same order."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from fomm_cli.errors import FommError, InputError
from fomm_cli.live.options import LiveJob
from fomm_cli.web import live_tasks
from fomm_cli.web.limits import Limits
from fomm_cli.web.requests import LiveCommand, LiveStart, read_request
from fomm_cli.web.worker import StoppedError, Worker

_HEADER = struct.Struct("<d")  # when the frame was captured, in seconds of the client's clock
_LENGTH = struct.Struct("<I")
_PAUSE = 0.01  # seconds for the next frame to come, before the last one is waited for
_TRY_LATER, _WRONG, _BROKEN = 1013, 1008, 1011


class LiveSockets:
    """Serve live sessions, as many at a time as the limits allow."""

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
        little-endian double; then a JPEG, PNG or WebP), each once the last or the last but one is answered, and a
        `LiveCommand` as text at any time. An answer is 4 bytes, the length of a JSON text, that text, and a JPEG.
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
        job = LiveJob(motion_scale=start.motion_scale)
        arguments = {"avatars": [self._find(each) for each in start.avatars], "job": job}
        opened = await asyncio.to_thread(worker.run, live_tasks.open_session, arguments)
        await socket.send_json({"type": "ready", **opened})
        await self._frames(socket, worker)

    async def _frames(self, socket: WebSocket, worker: Worker) -> None:
        """Answer frames in their order, and obey commands, until the client leaves."""
        waiting = 0  # frames that are being animated
        receiving = asyncio.ensure_future(socket.receive())
        try:
            while True:
                done, _ = await asyncio.wait({receiving}, timeout=_PAUSE if waiting else None)
                must_wait = not done
                if done:
                    message = receiving.result()
                    if message["type"] == "websocket.disconnect":
                        return
                    receiving = asyncio.ensure_future(socket.receive())
                    if message.get("bytes") is None:
                        await self._obey(worker, message["text"])
                        continue
                    must_wait = await self._put(worker, message["bytes"])
                    waiting += 1
                if must_wait:
                    image, figures = await asyncio.to_thread(worker.run, live_tasks.take_frame, {})
                    waiting -= 1
                    await socket.send_bytes(packed(figures, image))
        finally:
            receiving.cancel()

    async def _obey(self, worker: Worker, text: str) -> None:
        command = read_request(LiveCommand, text).model_dump()
        if command["command"] == "add_avatar":
            command["file"] = self._find(command["file"])
        await asyncio.to_thread(worker.run, live_tasks.command, command)

    async def _put(self, worker: Worker, message: bytes) -> bool:
        """Give a frame to the worker; returns whether the next one has to wait for an answer."""
        if len(message) <= _HEADER.size:
            raise InputError("a frame is empty", "Send 8 bytes of time and a JPEG")
        arguments = {
            "captured_at": _HEADER.unpack_from(message)[0],
            "frame": message[_HEADER.size :],
            "most_pixels": self._limits.frame_side,
        }
        return bool(await asyncio.to_thread(worker.run, live_tasks.put_frame, arguments))


def packed(figures: dict[str, Any], image: bytes) -> bytes:
    """Return an answer: the length of the figures, the figures as JSON, and the image."""
    text = json.dumps(figures).encode()
    return _LENGTH.pack(len(text)) + text + image


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    try:
        await socket.send_json({"type": "error", "problem": reason})
        await socket.close(code, reason.encode()[:120].decode(errors="ignore"))
    except (RuntimeError, WebSocketDisconnect):
        return  # the client has left already

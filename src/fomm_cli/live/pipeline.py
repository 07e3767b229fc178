"""Decode camera frames side by side, and give them back in their order."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

import torch

from fomm_cli.live.camera import Shot
from fomm_cli.live.session import LiveFrame, LiveSession

IN_FLIGHT = 2
"""Frames decoded at once on a CPU, each with its share of the threads. Measured on two cores with the small model: 24
to 27 frames/s at a delay of 86 to 97 ms; all threads on one frame made 16 to 24 frames/s at 53 to 82 ms. With one core
taken by another program: 17 frames/s, against 6, as the threads wait for each other at every layer."""


class Pipeline:
    """Take camera frames and give the animated ones."""

    def __init__(self, session: LiveSession) -> None:
        """Share the threads among the frames in flight until `close`."""
        self._session = session
        self._in_flight = min(IN_FLIGHT, session.workers)
        self._threads = torch.get_num_threads()
        self._pool: ThreadPoolExecutor | None = None
        if self._in_flight > 1:
            share = max(1, self._threads // self._in_flight)
            torch.set_num_threads(share)
            self._pool = ThreadPoolExecutor(self._in_flight, initializer=torch.set_num_threads, initargs=(share,))
        self._waiting: deque[tuple[Shot, Future[LiveFrame]]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        """Return whether a frame has to be taken before another one is put."""
        return len(self._waiting) == self._in_flight

    def put(self, shot: Shot) -> None:
        """Begin to animate a frame."""
        pose = self._session.follow(shot.image, shot.time)
        if self._pool is not None:
            self._waiting.append((shot, self._pool.submit(self._session.decode, pose)))
            return
        done: Future[LiveFrame] = Future()
        done.set_result(self._session.decode(pose))
        self._waiting.append((shot, done))

    def take(self, *, wait: bool) -> tuple[Shot, LiveFrame] | None:
        """Return the next frame in order; None where there is none, or it is not decoded and not to be waited for."""
        if not self._waiting or not (wait or self._waiting[0][1].done()):
            return None
        shot, future = self._waiting.popleft()
        return shot, future.result()

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            torch.set_num_threads(self._threads)

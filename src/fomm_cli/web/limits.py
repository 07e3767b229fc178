"""Limit what clients may send to the local server."""

from __future__ import annotations

from dataclasses import dataclass

UPLOAD_PATH = "/api/files"


@dataclass(frozen=True)
class Limits:
    """The limits of what one client may ask for.

    Attributes:
        upload_bytes: of one uploaded file.
        stored_bytes: of all uploaded files together.
        stored_files: how many uploaded files are kept.
        request_bytes: of the body of any other request.
        body_seconds: until a body is complete.
        pause_seconds: between two parts of a body, and until the first request of a connection is complete.
        queued_jobs: jobs that wait.
        kept_jobs: jobs that are listed; the oldest finished ones go first.
        sockets: live sockets at a time.
        connections: connections at a time; more are answered 503.
        frame_bytes: of one camera frame.
        frame_side: pixels of the longer side of a camera frame.
    """

    upload_bytes: int = 1_000_000_000
    stored_bytes: int = 8_000_000_000
    stored_files: int = 200
    request_bytes: int = 64_000
    body_seconds: float = 600.0
    pause_seconds: float = 15.0
    queued_jobs: int = 20
    kept_jobs: int = 100
    sockets: int = 1
    connections: int = 200
    frame_bytes: int = 2_000_000
    frame_side: int = 2000

    def body_bytes(self, path: str) -> int:
        """Return the most bytes that the body of a request to this path may have."""
        return self.upload_bytes + 10_000 if path == UPLOAD_PATH else self.request_bytes  # the form has headers

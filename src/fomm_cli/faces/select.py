"""Choose the face to animate among those found in an image (`--face`, `--face_at`)."""

from __future__ import annotations

from fomm_cli.errors import InputError
from fomm_cli.faces.face import Face
from fomm_cli.faces.options import FaceGroup

_OTHERS = "or let another detector look: --face_backend builtin or mediapipe"


def choose_face(faces: list[Face], number: int | None, place: tuple[float, float] | None) -> Face | None:
    """Choose one of the faces of an image.

    Args:
        faces: the largest first.
        number: 1 for the largest face, 2 for the next; None for the largest.
        place: (x, y) in pixels, inside the box of the wanted face; it goes before `number`.

    Returns:
        None where there are no faces.

    Raises:
        InputError: there are faces, but not the one that was asked for.
    """
    if not faces:
        return None
    if place is not None:
        at_place = [face for face in faces if _holds(face, *place)]
        if not at_place:
            x, y = place
            places = ", ".join(f"{face.box.centre[0]:.0f},{face.box.centre[1]:.0f}" for face in faces)
            raise InputError(f"there is no face at --face_at {x:g},{y:g}", f"Faces were found at {places}; {_OTHERS}")
        return at_place[0]
    return faces[_existing(faces, number or 1) - 1]


def choose_group(faces: list[Face], group: FaceGroup) -> list[int]:
    """Choose several of the faces of an image; returns their numbers, the largest first.

    Raises:
        InputError: one of them does not exist.
    """
    if not faces:
        raise InputError(f"there is no face for --face {group}: none was found", f"Give another image, {_OTHERS}")
    named = [_existing(faces, number) for number, _ in group.drivers]
    return list(range(1, len(faces) + 1)) if group.everybody else sorted(named)


def _existing(faces: list[Face], number: int) -> int:
    if number > len(faces):
        allowed = "Use --face 1" if len(faces) == 1 else f"Use 1 to {len(faces)}"
        raise InputError(f"there is no --face {number}: {_counted(faces)} found", f"{allowed}, {_OTHERS}")
    return number


def _counted(faces: list[Face]) -> str:
    return "1 face was" if len(faces) == 1 else f"{len(faces)} faces were"


def _holds(face: Face, x: float, y: float) -> bool:
    return face.box.left <= x <= face.box.right and face.box.top <= y <= face.box.bottom

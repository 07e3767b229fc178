"""Sign results with Content Credentials (C2PA), a statement in the file that it is synthetic, and read them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from fomm_cli.errors import FommError, InputError, one_line
from fomm_cli.extras import is_installed, require
from fomm_cli.marks.certificate import local_certificate
from fomm_cli.version import __version__

_FORMATS = {
    ".mp4": "video/mp4", ".mov": "video/quicktime", ".gif": "image/gif", ".png": "image/png",
    ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp",
}  # fmt: skip
_COMPOSITE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
_SETTINGS = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}  # a file must not make us call anybody
_TRUST = "signingCredential.untrusted"
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


@dataclass(frozen=True)
class Credentials:
    """The content of a file's Content Credentials.

    Attributes:
        valid: whether the signature is good and the file unchanged since.
        trusted: whether the signer is on a trust list.
        synthetic: whether they call the file the work of a trained model, in whole or in part.
        tool: name and version of the program that made the file.
        signer: name in the certificate.
        problems: codes of C2PA for what is wrong.
    """

    valid: bool
    trusted: bool
    synthetic: bool
    tool: str
    signer: str
    problems: tuple[str, ...]


def check_can_sign(path: Path, certificate: Path | None, key: Path | None) -> None:
    """Make sure, before the work, that a file of this name can be signed.

    Raises:
        InputError: its format holds no Content Credentials, a package is missing, or the certificate is unusable.
    """
    if path.suffix.lower() not in _FORMATS or "%" in path.name:
        kind = "a sequence of frames" if "%" in path.name else f"a {path.suffix} file"
        raise InputError(
            f"{kind} cannot hold Content Credentials", "Use .mp4, .mov, .gif, .webp, .png or .jpg with --c2pa"
        )
    if (certificate is None) != (key is None):
        raise InputError("--c2pa_cert and --c2pa_key belong together", "Give both, or neither")
    require("c2pa")
    if certificate is not None and key is not None:
        _check_certificate(certificate, key)


def sign(path: Path, inputs: Mapping[str, str], certificate: Path | None, key: Path | None) -> None:
    """Add Content Credentials to a finished file, in place.

    Args:
        path: the file.
        inputs: what it was made of: "source image" and the like to the SHA-256 in hex.
        certificate: PEM chain, the signer's first; None for one of this machine, made at first use.
        key: PEM private key.

    Raises:
        FommError: it cannot be signed.
    """
    import c2pa

    if certificate is None or key is None:
        certificate, key = local_certificate()
    signed = path.with_name(f"{path.stem}.signed{path.suffix}")
    try:
        with path.open("rb") as source, signed.open("w+b") as target:
            _write_signed(source, target, _FORMATS[path.suffix.lower()], inputs, _signer(certificate, key))
        signed.replace(path)
    except (c2pa.C2paError, OSError) as error:
        raise FommError(f"{path} cannot be signed: {error}", "Leave out --c2pa, or check the certificate") from error
    finally:
        signed.unlink(missing_ok=True)


def read_credentials(path: Path) -> Credentials | None:
    """Read the Content Credentials of a file; None where there are none, or c2pa-python is not installed."""
    if not is_installed("c2pa"):
        return None
    import c2pa

    context = c2pa.Context.from_dict(_SETTINGS)
    try:
        with path.open("rb") as file, c2pa.Reader(_format_of(path), file, context=context) as reader:
            return _summary(json.loads(reader.json()))
    except (c2pa.C2paError, ValueError):
        return None


def _manifest(inputs: Mapping[str, str]) -> dict[str, Any]:
    agent = {"name": "fomm", "version": __version__}
    ids = [f"input-{number}" for number in range(len(inputs))]
    created = {
        "action": "c2pa.created",
        "digitalSourceType": _COMPOSITE,
        "softwareAgent": agent,
        "parameters": {"ingredientIds": ids},
    }
    return {
        "claim_generator_info": [agent],
        "title": "Synthetic media: animated with fomm",
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [created]}}],
        "ingredients": [
            {
                "title": name,
                "instance_id": f"sha256:{digest}",
                "label": label,
                "relationship": "inputTo",
            }
            for label, (name, digest) in zip(ids, inputs.items(), strict=True)
        ],
    }


def _write_signed(source: IO[bytes], target: IO[bytes], kind: str, inputs: Mapping[str, str], signer: Any) -> None:
    import c2pa

    with c2pa.Builder(_manifest(inputs)) as builder:
        builder.sign(signer, kind, source, target)


def _check_certificate(certificate: Path, key: Path) -> None:
    """Sign a small image, since C2PA refuses some certificates, such as self-signed ones, only when it signs."""
    import c2pa
    from PIL import Image

    image = BytesIO()
    Image.new("RGB", (8, 8)).save(image, "PNG")
    try:
        _write_signed(image, BytesIO(), "image/png", {}, _signer(certificate, key))
    except c2pa.C2paError as error:
        raise _unusable(certificate, key, error) from error


def _signer(certificate: Path, key: Path) -> Any:
    """Return a signer, which takes no time from anybody: that would need the network."""
    import c2pa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        chain, private = certificate.read_bytes(), key.read_bytes()
        kind = load_pem_private_key(private, None)
        curve = getattr(getattr(kind, "curve", None), "name", "")
        algorithm = _CURVES.get(curve, "ps256" if hasattr(kind, "key_size") else "ed25519")
        return c2pa.Signer.from_info(c2pa.C2paSignerInfo(algorithm, chain, private, None))
    except (OSError, ValueError, TypeError, c2pa.C2paError) as error:
        raise _unusable(certificate, key, error) from error


def _unusable(certificate: Path, key: Path, error: Exception) -> InputError:
    return InputError(
        f"{certificate} and {key} cannot be used to sign: {error}",
        "Give PEM files: a certificate that an authority has signed, the authority's below it, and the private key",
    )


def _format_of(path: Path) -> str:
    """Tell the format from the first bytes, since files are renamed."""
    with path.open("rb") as file:
        head = file.read(16)
    if head.startswith(b"\x89PNG"):
        return "image/png"
    if head.startswith(b"\xff\xd8"):
        return "image/jpeg"
    if head.startswith(b"GIF8"):
        return "image/gif"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    return "video/quicktime" if head[4:12] == b"ftypqt  " else "video/mp4"


def _summary(store: dict[str, Any]) -> Credentials:
    manifest = store["manifests"][store["active_manifest"]]
    statuses = store.get("validation_status") or []
    problems = tuple(sorted({str(status.get("code", "")) for status in statuses}))
    agent = (manifest.get("claim_generator_info") or [{}])[0]
    source_types = [
        str(action.get("digitalSourceType", ""))
        for assertion in manifest.get("assertions", [])
        if str(assertion.get("label", "")).startswith("c2pa.actions")
        for action in assertion.get("data", {}).get("actions", [])
    ]
    return Credentials(
        valid=not set(problems) - {_TRUST},
        trusted=not problems,
        synthetic=any("rainedAlgorithmicMedia" in kind for kind in source_types),
        tool=one_line(f"{agent.get('name', '')} {agent.get('version', '')}"),
        signer=one_line(str((manifest.get("signature_info") or {}).get("common_name", ""))),
        problems=problems,
    )

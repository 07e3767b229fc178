"""Make and keep a certificate authority and signing key for this machine, at first use."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from fomm_cli.errors import FommError
from fomm_cli.files.cache import cache_folder

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

SIGNER = "fomm local certificate"
_FOLDER, _CHAIN, _KEY = "c2pa", "chain.pem", "key.pem"
_DAYS = 3650
_EARLIER = timedelta(hours=1)  # so that a clock that is a little behind accepts the certificate


def local_certificate() -> tuple[Path, Path]:
    """Return the files of this machine's certificate chain and its private key, which only the owner may read.

    The private key of the authority is thrown away once it has signed the one certificate.

    Raises:
        FommError: they cannot be written.
    """
    folder = cache_folder() / _FOLDER
    chain, key = folder / _CHAIN, folder / _KEY
    try:
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        with FileLock(folder / "lock"):
            if not (chain.exists() and key.exists()):
                chain_text, key_text = _made()
                _write(key, key_text)
                _write(chain, chain_text)
    except OSError as error:
        raise FommError(
            f"{folder} cannot be written: {error.strerror or error}",
            "Set FOMM_HOME, or give --c2pa_cert and --c2pa_key",
        ) from error
    return chain, key


def _write(path: Path, text: bytes) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text)


def _made() -> tuple[bytes, bytes]:
    """Make an authority and a certificate that it has signed; return the chain and the key as PEM."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = _certificate("fomm local authority", authority_key, None, authority_key)
    leaf = _certificate(SIGNER, key, authority, authority_key)
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return leaf.public_bytes(pem) + authority.public_bytes(pem), private


def _certificate(
    name: str,
    key: EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
    issuer_key: EllipticCurvePrivateKey,
) -> x509.Certificate:
    """Sign a certificate for a key; one without an issuer is an authority that signs itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID

    subject = x509.Name([
        x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "fomm"), x509.NameAttribute(x509.NameOID.COMMON_NAME, name),
    ])  # fmt: skip
    now = datetime.now(timezone.utc)
    authority = issuer is None
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + timedelta(days=_DAYS))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(_key_usage(authority=authority), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if not authority:
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])  # one of those that C2PA accepts
        builder = builder.add_extension(usage, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=True, key_cert_sign=authority, crl_sign=authority, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip

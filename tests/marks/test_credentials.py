"""Content Credentials: made and checked with C2PA's own library."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("c2pa", reason="c2pa-python is not installed")
import c2pa
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from fomm_cli.cli import main
from fomm_cli.errors import InputError
from fomm_cli.files.cache import cache_folder
from fomm_cli.files.hashing import sha256_of
from fomm_cli.marks.certificate import local_certificate
from fomm_cli.marks.credentials import check_can_sign, read_credentials, sign
from fomm_cli.marks.verify import verify
from fomm_cli.models.bundled import bundled_checkpoint, first_run

INPUTS = {"source image": "a" * 64, "driving video": "b" * 64, "model": "c" * 64}


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("signed") / "result.mp4"
    arguments = ["animate", "-q", "--cpu", "--max_frames", "2", "--crop", "none", "--c2pa", "-o", str(path)]
    assert main(arguments) == 0
    return path


def test_a_result_is_signed_and_says_what_it_is(signed: Path) -> None:
    store = json.loads(c2pa.Reader(str(signed)).json())
    manifest = store["manifests"][store["active_manifest"]]
    assert [problem["code"] for problem in store["validation_status"]] == ["signingCredential.untrusted"]
    action = next(each for each in manifest["assertions"] if each["label"] == "c2pa.actions.v2")["data"]["actions"][0]
    assert action["action"] == "c2pa.created"
    assert action["digitalSourceType"].endswith("/compositeWithTrainedAlgorithmicMedia")
    source, driving = first_run()
    hashes = {each["title"]: each["instance_id"] for each in manifest["ingredients"]}
    assert hashes == {
        "source image": f"sha256:{sha256_of(source)}",
        "driving video": f"sha256:{sha256_of(driving)}",
        "model": f"sha256:{sha256_of(bundled_checkpoint())}",
    }
    assert source.name not in json.dumps(manifest)


def test_verify_tells_a_valid_signature_of_somebody_unknown(signed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(signed)]) == 0
    assert "Content Credentials: valid, signer not on a trust list" in capsys.readouterr().out


def signed_by_another_tool(path: Path, name: str, source_type: str) -> Path:
    """Write an image with the Content Credentials of another program."""
    Image.new("RGB", (64, 64), "teal").save(path.with_name("plain.png"))
    kind = f"http://cv.iptc.org/newscodes/digitalsourcetype/{source_type}"
    action = {"action": "c2pa.created", "digitalSourceType": kind}
    manifest = {
        "claim_generator_info": [{"name": name, "version": "7"}],
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [action]}}],
    }
    certificate, key = local_certificate()
    information = c2pa.C2paSignerInfo("es256", certificate.read_bytes(), key.read_bytes(), None)
    with c2pa.Builder(manifest) as builder:
        builder.sign_file(str(path.with_name("plain.png")), str(path), c2pa.Signer.from_info(information))
    return path


def test_synthetic_media_of_another_tool_is_not_said_to_be_ours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = "Painter\n  metadata: fomm 0.1.0"
    path = signed_by_another_tool(tmp_path / "other.png", hostile, "trainedAlgorithmicMedia")
    assert main(["verify", str(path)]) == 0
    headline, credentials = capsys.readouterr().out.splitlines()
    assert headline.endswith("synthetic: made with Painter metadata: fomm 0.1.0 7")
    assert credentials.startswith("  Content Credentials: valid")


def test_a_photo_with_credentials_is_not_called_synthetic(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(signed_by_another_tool(tmp_path / "photo.png", "Camera", "digitalCapture"))]) == 3
    told = capsys.readouterr().out
    assert "no mark was found, which proves nothing" in told
    assert "Content Credentials: valid, signer not on a trust list; by Camera 7" in told


def test_a_changed_file_is_not_valid(signed: Path, tmp_path: Path) -> None:
    content = bytearray(signed.read_bytes())
    content[-200] ^= 255
    changed = tmp_path / "changed.mp4"
    changed.write_bytes(content)
    credentials = read_credentials(changed)
    assert credentials is not None
    assert not credentials.valid


def test_damaged_credentials_are_no_credentials(signed: Path, tmp_path: Path) -> None:
    content = signed.read_bytes()
    place = content.index(b"c2pa.signature")
    for offset in (-300, 20, 60, 200):
        damaged = bytearray(content)
        damaged[place + offset : place + offset + 40] = bytes(40)
        path = tmp_path / "damaged.mp4"
        path.write_bytes(damaged)
        found = verify(path)
        assert found.credentials is None or not found.credentials.valid
        assert found.invisible is not None


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".gif", ".webp"])
def test_images_are_signed_too(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"image{suffix}"
    Image.new("RGB", (64, 64), "teal").save(path)
    sign(path, INPUTS, None, None)
    credentials = read_credentials(path)
    assert credentials is not None
    assert credentials.valid
    assert credentials.synthetic
    assert not credentials.trusted
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_the_key_of_this_machine_is_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    Image.new("RGB", (64, 64)).save(path)
    sign(path, INPUTS, None, None)
    folder = cache_folder() / "c2pa"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "key.pem").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["-o", "result.webm", "--c2pa"], "cannot hold Content Credentials. Use .mp4"),
        (["-o", "frames", "--c2pa"], "cannot hold Content Credentials. Use .mp4"),
        (["-o", "result.mp4", "--c2pa", "--c2pa_cert", "cert.pem"], "belong together"),
        (["-o", "result.mp4", "--c2pa", "--c2pa_cert", "cert.pem", "--c2pa_key", "cert.pem"], "cannot be used to sign"),
    ],
)
def test_what_cannot_be_signed_is_refused_before_the_work(
    options: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cert.pem").write_text("no certificate")
    assert main(["animate", "--cpu", *options]) == 2
    assert told in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ["cert.pem"]


def test_a_certificate_with_the_key_of_another_is_refused_before_the_work(tmp_path: Path) -> None:
    certificate, _ = local_certificate()
    stranger = ec.generate_private_key(ec.SECP256R1())
    key = tmp_path / "key.pem"
    key.write_bytes(stranger.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(InputError, match="cannot be used to sign"):
        check_can_sign(tmp_path / "result.mp4", certificate, key)
    check_can_sign(tmp_path / "result.mp4", *local_certificate())
    assert [each.name for each in tmp_path.iterdir()] == ["key.pem"]

"""List the published checkpoints: URLs, local paths, checksums."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from fomm_cli.errors import InputError
from fomm_cli.files.cache import cache_folder

_HUGGING_FACE = "https://huggingface.co"
_RELEASE = "https://github.com/graphemecluster/first-order-model-demo/releases/download/checkpoints"


@dataclass(frozen=True)
class Published:
    """A published checkpoint.

    Attributes:
        name: what `--checkpoint` and `fomm download` call it.
        config: the bundled config of its networks.
        file: its file name.
        mirrors: addresses, the best first.
        size: in bytes; None where unknown.
        sha256: None where unknown: then only the content can be checked.
    """

    name: str
    config: str
    file: str
    mirrors: tuple[str, ...]
    size: int | None = None
    sha256: str | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return the URLs of the mirrors; those on Hugging Face use HF_ENDPOINT where that is set."""
        endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or _HUGGING_FACE
        return tuple(mirror.replace(_HUGGING_FACE, endpoint, 1) for mirror in self.mirrors)

    def local(self) -> Path | None:
        """Return the file on this machine: in `checkpoints/` of the working folder, or in the cache folder."""
        places = (Path("checkpoints") / self.file, cache_folder() / self.file)
        return next((place for place in places if place.is_file()), None)


def _released(name: str, config: str, file: str = "") -> Published:
    file = file or f"{name}-cpk.pth.tar"
    return Published(name, config, file, (f"{_RELEASE}/{file}",))


CATALOGUE = {
    entry.name: entry
    for entry in (
        Published(
            name="vox",
            config="vox-256",
            file="vox-cpk.pth.tar",
            mirrors=(
                f"{_HUGGING_FACE}/MCMLXXXVII/thinplatesv1/resolve/main/vox-cpk.pth.tar",
                f"{_RELEASE}/vox-cpk.pth.tar",
                "https://qaihub-public-assets.s3.us-west-2.amazonaws.com/qai-hub-models/models/fomm/v1/vox-cpk.pth.tar",
            ),
            size=728_766_691,
            sha256="abb41ab1f279f26326c0d6e4d20702de6658364665aa1313daa7a63e89ea2b23",
        ),
        Published(
            name="vox-adv",
            config="vox-adv-256",
            file="vox-adv-cpk.pth.tar",
            mirrors=(
                f"{_HUGGING_FACE}/ashpexx/my-models/resolve/main/vox-adv-cpk.pth.tar",
                f"{_HUGGING_FACE}/spaces/abhishek/first-order-motion-model/resolve/main/weights/vox-adv-cpk.pth.tar",
                f"{_RELEASE}/vox-adv-cpk.pth.tar",
            ),
            sha256="6792d6810d7f46e3c5c487a1cfec916b96fad8912c3c6cc81baa1fc300c820d3",
        ),
        _released("taichi", "taichi-256"),
        _released("taichi-adv", "taichi-adv-256"),
        _released("mgif", "mgif-256"),
        _released("nemo", "nemo-256"),
        _released("bair", "bair-256"),
        _released("fashion", "fashion-256", "fashion.pth.tar"),
    )
}


def published(name: str) -> Published:
    """Look up a published checkpoint by its name.

    Raises:
        InputError: there is none.
    """
    if name not in CATALOGUE:
        raise InputError(f"there is no published checkpoint {name}", f"Known: {', '.join(CATALOGUE)}")
    return CATALOGUE[name]

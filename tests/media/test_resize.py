import time

import numpy as np
import pytest
from skimage.transform import resize

from fomm_cli.media.options import Fit
from fomm_cli.media.resize import fit_frame, fit_source, resize_exact
from support.media_helpers import gradient


def textured(height: int, width: int) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    waves = 60 * np.sin(rows / 11) * np.cos(columns / 7) + 10 * np.sin(rows * columns / 900)
    return np.clip(gradient(height, width) + waves[..., None], 0, 255).astype(np.uint8)


@pytest.mark.parametrize("size", [(64, 64), (96, 150), (256, 256), (300, 500), (700, 333)])
def test_fast_resize_agrees_with_scikit_image(size: tuple[int, int]) -> None:
    frame = textured(300, 400)
    expected = resize(frame, size) * 255
    fast = fit_frame(frame, size, "stretch")
    assert fast.dtype == np.uint8
    assert fast.shape == (*size, 3)
    assert np.abs(fast - expected).mean() < 1


@pytest.mark.parametrize("shape", [(300, 400), (64, 50), (1, 1), (2, 3), (1, 50), (3, 700)])
@pytest.mark.parametrize("size", [(64, 50), (128, 200), (33, 7)])
def test_exact_resize_is_scikit_image(shape: tuple[int, int], size: tuple[int, int]) -> None:
    frame = textured(*shape)
    exact = resize_exact(frame, size)
    assert exact.dtype == np.float32
    np.testing.assert_allclose(exact, resize(frame, size), atol=1e-7)


def test_exact_resize_of_a_large_picture_stays_close() -> None:
    frame = np.kron(textured(202, 200), np.ones((10, 10, 1), np.uint8))
    assert np.abs(resize_exact(frame, (128, 128)) - resize(frame, (128, 128))).mean() < 1 / 255


def test_the_right_size_is_left_alone() -> None:
    frame = gradient(64, 64)
    for fit in ("stretch", "crop", "pad"):
        assert np.shares_memory(fit_frame(frame, (64, 64), fit), frame)


@pytest.mark.parametrize(("shape", "box"), [((60, 100), np.s_[:, 20:80]), ((100, 60), np.s_[20:80, :])])
def test_crop_keeps_the_centre(shape: tuple[int, int], box: tuple[slice, slice]) -> None:
    frame = textured(*shape)
    np.testing.assert_array_equal(fit_frame(frame, (30, 30), "crop"), fit_frame(frame[box], (30, 30), "stretch"))
    np.testing.assert_array_equal(fit_source(frame, (30, 30), "crop"), resize_exact(frame[box], (30, 30)))


def test_pad_mirrors_the_borders() -> None:
    frame = textured(60, 120)
    padded = fit_frame(frame, (60, 60), "pad")
    inner = fit_frame(frame, (30, 60), "stretch")
    np.testing.assert_array_equal(padded[15:45], inner)
    np.testing.assert_array_equal(padded[:15], inner[14::-1])
    np.testing.assert_array_equal(padded[45:], inner[:14:-1])
    assert fit_source(frame, (60, 60), "pad").shape == (60, 60, 3)


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (3, 2000), (17, 31)])
def test_any_shape_fits(shape: tuple[int, int], fit: Fit) -> None:
    frame = np.full((*shape, 3), 130, np.uint8)
    assert (fit_frame(frame, (32, 48), fit) == 130).all()
    np.testing.assert_allclose(fit_source(frame, (32, 48), fit), 130 / 255, atol=1e-6)


def test_views_and_read_only_frames_are_taken() -> None:
    frame = textured(80, 60)
    turned = np.rot90(frame)[:, ::-1]
    locked = frame.copy()
    locked.flags.writeable = False
    np.testing.assert_array_equal(fit_frame(turned, (32, 32), "stretch"), fit_frame(turned.copy(), (32, 32), "stretch"))
    np.testing.assert_array_equal(fit_frame(locked, (32, 32), "stretch"), fit_frame(frame, (32, 32), "stretch"))


def test_full_hd_is_quick() -> None:
    frame = textured(1080, 1920)
    times = []
    for _ in range(10):
        began = time.perf_counter()
        fit_frame(frame, (256, 256), "crop")
        times.append(time.perf_counter() - began)
    assert min(times) < 0.015

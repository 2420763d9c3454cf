"""Data as promised: real sets with their known shapes, generated ones with a truth that can be recomputed."""

import gzip
import hashlib
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from dlkb.datasets import (
    SHAPES,
    cifar10,
    digits,
    draw_shapes,
    fashion_mnist,
    photograph,
    split,
    table,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("name", "shape", "counts"),
    [("wine", (178, 13), [59, 71, 48]), ("breast_cancer", (569, 30), [212, 357])],
)
def test_tables_have_their_published_sizes(name, shape, counts):
    data = table(name)
    assert data.x.shape == shape
    assert data.x.dtype == torch.float32
    assert data.y.bincount().tolist() == counts
    assert len(data.features) == shape[1]
    assert len(data.classes) == len(counts)


def test_digits_are_grey_levels_in_sixteenths():
    data = digits()
    assert data.x.shape == (1797, 1, 8, 8)
    assert (data.x.min(), data.x.max()) == (0, 1)
    assert torch.equal(data.x * 16, (data.x * 16).round())
    assert data.y.unique().tolist() == list(range(10))


def test_photographs():
    for name in ("china", "flower"):
        image = photograph(name)
        assert (image.shape, image.dtype) == ((3, 427, 640), torch.uint8)


def test_the_datasheets_give_the_checksums():
    """Catches data that changed within a dependency, and a checksum that nobody computed."""
    import sklearn.datasets
    from torchvision.datasets import CIFAR10, FashionMNIST

    sheet = Path(__file__).parents[2].joinpath("data", "README.md").read_text("utf-8")
    for data in (table("wine"), table("breast_cancer"), digits()):
        values = data.x.numpy().astype("<f4").tobytes()
        values += data.y.numpy().astype("<i8").tobytes()
        assert hashlib.sha256(values).hexdigest() in sheet
    folder = Path(sklearn.datasets.__file__).parent / "images"
    for name in ("china.jpg", "flower.jpg"):
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() in sheet
    for md5 in (CIFAR10.tgz_md5, *(md5 for _, md5 in FashionMNIST.resources)):
        assert md5 in sheet


def test_a_split_is_random_complete_and_repeatable():
    first, second = split(100, 0.7, seeded())
    assert (len(first), len(second)) == (70, 30)
    assert sorted([*first.tolist(), *second.tolist()]) == list(range(100))
    again, _ = split(100, 0.7, seeded())
    assert torch.equal(first, again)
    assert not torch.equal(first, split(100, 0.7, seeded(1))[0])


# --------------------------------------------------------------------------------------- shapes


@pytest.mark.parametrize("clutter", [0, 10])
@pytest.mark.parametrize("name", SHAPES)
def test_boxes_are_the_tightest_around_the_masks(name, clutter):
    shapes = draw_shapes(30, 40, classes=(name,), clutter=clutter, generator=seeded())
    for mask, (x1, y1, x2, y2) in zip(
        shapes.masks, shapes.boxes.int().tolist(), strict=True
    ):
        rows, columns = mask.nonzero(as_tuple=True)
        assert (x1, y1) == (columns.min(), rows.min())
        assert (x2, y2) == (columns.max() + 1, rows.max() + 1)
    assert shapes.y.unique().tolist() == [SHAPES.index(name)]


def test_areas_are_those_of_the_figures():
    """In units of the radius squared: disk pi, square 1.8 squared, triangle base 1.8 times height 1.8 / 2."""
    r = 14.0
    expected = {
        "disk": np.pi,
        "square": 3.24,
        "triangle": 1.8 * 1.8 / 2,
        "ring": np.pi * 0.65,
    }
    for name, area in expected.items():
        shapes = draw_shapes(20, 64, classes=(name,), radius=(r, r), generator=seeded())
        found = shapes.masks.sum((1, 2)).double().mean() / r**2
        assert found.item() == pytest.approx(area, rel=0.03), name


def test_size_position_brightness_and_noise_are_controlled():
    shapes = draw_shapes(
        200,
        32,
        classes=("square",),
        radius=(6, 6),
        brightness=(0.3, 0.4),
        noise=0,
        generator=seeded(),
    )
    sides = (shapes.boxes[:, 2:] - shapes.boxes[:, :2]).flatten()
    assert set(sides.tolist()) <= {10.0, 11.0}  # 2 * 0.9 * 6 = 10.8 pixels
    inside = shapes.x[:, 0][shapes.masks]
    assert 0.3 <= inside.min() <= inside.max() <= 0.4
    assert (shapes.x[:, 0][~shapes.masks] == 0).all()
    assert shapes.boxes[:, 0].min() <= 1  # anywhere: up to the edge
    centred = draw_shapes(20, 32, spread=0, classes=("disk",), generator=seeded()).boxes
    assert ((centred[:, :2] + centred[:, 2:]) == 32).all()
    halfway = draw_shapes(
        500, 32, spread=0.5, radius=(8, 8), classes=("disk",), generator=seeded()
    ).boxes
    middle = (halfway[:, :2] + halfway[:, 2:]) / 2 - 16
    assert 3.5 <= middle.abs().max() <= 4.5  # half of the room of 8 pixels


def test_clutter_stays_behind_the_shape():
    shapes = draw_shapes(
        50, clutter=20, brightness=(0.2, 0.2), noise=0, generator=seeded()
    )
    assert (shapes.x[:, 0][shapes.masks] == 0.2).all()
    outside = shapes.x[:, 0][~shapes.masks]
    assert outside[outside > 0].min() >= 0.5
    assert (outside > 0).float().mean() > 0.02


def test_class_balance_is_controlled():
    shapes = draw_shapes(
        4000,
        16,
        classes=("disk", "ring"),
        weights=(9, 1),
        radius=(3, 6),
        generator=seeded(),
    )
    share = (shapes.y == SHAPES.index("ring")).double().mean().item()
    assert abs(share - 0.1) < 3 * (0.1 * 0.9 / 4000) ** 0.5


def test_the_same_generator_gives_the_same_images():
    assert torch.equal(
        draw_shapes(5, generator=seeded()).x, draw_shapes(5, generator=seeded()).x
    )
    assert not torch.equal(
        draw_shapes(5, generator=seeded()).x, draw_shapes(5, generator=seeded(1)).x
    )


# ---------------------------------------------------------------------------- large sets, from small files


def idx(array):
    """The bytes of an IDX file, as MNIST and its kin have them."""
    return (
        struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
        + array.tobytes()
    )


def test_fashion_mnist_is_read_by_torchvision(tmp_path):
    folder = tmp_path / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    images = np.arange(2 * 28 * 28).reshape(2, 28, 28).astype(np.uint8)
    for stem, array in (
        ("train-images-idx3", images),
        ("train-labels-idx1", np.array([3, 9], np.uint8)),
    ):
        for part in (stem, stem.replace("train", "t10k")):
            (folder / f"{part}-ubyte").write_bytes(idx(array))
            (folder / f"{part}-ubyte.gz").write_bytes(gzip.compress(idx(array)))
    data = fashion_mnist(tmp_path)
    assert data.x.shape == (2, 1, 28, 28)
    assert torch.equal(data.x[0, 0, 0], torch.arange(28) / 255)
    assert data.y.tolist() == [3, 9]
    assert data.classes[9] == "Ankle boot"


def test_cifar10_is_read_by_torchvision(tmp_path, monkeypatch):
    from torchvision import datasets

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    image = np.arange(2 * 3072).reshape(2, 3072).astype(np.uint8)
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    for name in names:
        (folder / name).write_bytes(pickle.dumps({"data": image, "labels": [1, 2]}))
    (folder / "batches.meta").write_bytes(
        pickle.dumps({"label_names": ["plane", "car", "bird"]})
    )
    monkeypatch.setattr(
        datasets.CIFAR10, "_check_integrity", lambda self: True
    )  # these are not the real files
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    data = cifar10(tmp_path)
    assert data.x.shape == (10, 3, 32, 32)
    assert torch.equal(
        data.x[0, 1, 0, :4] * 255, torch.tensor(image[0, 1024:1028]).float()
    )  # green plane
    assert data.y.tolist() == [1, 2] * 5
    assert data.classes == ("plane", "car", "bird")


@pytest.mark.parametrize("load", [fashion_mnist, cifar10])
def test_without_files_the_message_says_how_to_get_them(tmp_path, load):
    with pytest.raises(
        FileNotFoundError,
        match=r"is not in .*: pass download=True where there is a network",
    ):
        load(tmp_path)


@pytest.mark.parametrize("load", [fashion_mnist, cifar10])
def test_without_network_the_message_says_so(tmp_path, load, monkeypatch):
    def no_network(*_, **__):
        raise OSError("Name or service not known")

    monkeypatch.setattr("torchvision.datasets.utils._urlretrieve", no_network)
    with pytest.raises(FileNotFoundError, match="could not be downloaded"):
        load(tmp_path, download=True)


def test_a_damaged_download_is_refused(tmp_path):
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz"):
        pass
    with pytest.raises(FileNotFoundError, match="is not in"):
        cifar10(tmp_path)


# -------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: table("iris"), "one of breast_cancer, wine: got 'iris'"),
        (lambda: photograph("cat"), "one of china, flower: got 'cat'"),
        (
            lambda: split(10, 0.0, seeded()),
            "at least one of 10 samples on each side: got 0.0",
        ),
        (lambda: split(10, 1.0, seeded()), "got 1.0"),
        (lambda: draw_shapes(0, generator=seeded()), "got count=0"),
        (lambda: draw_shapes(1, clutter=-1, generator=seeded()), "clutter=-1"),
        (
            lambda: draw_shapes(1, classes=("star",), generator=seeded()),
            "among disk, .*: got star",
        ),
        (lambda: draw_shapes(1, classes=(), generator=seeded()), "got none"),
        (
            lambda: draw_shapes(1, weights=(1.0,), generator=seeded()),
            r"each of the 4 classes.*got \(1.0,\)",
        ),
        (
            lambda: draw_shapes(1, radius=(5, 17), generator=seeded()),
            r"half the image, 16: got \(5, 17\)",
        ),
        (lambda: draw_shapes(1, radius=(9, 6), generator=seeded()), "radius must rise"),
        (
            lambda: draw_shapes(1, brightness=(0, 2), generator=seeded()),
            r"within \[0, 1\]: got \(0, 2\)",
        ),
        (lambda: draw_shapes(1, spread=1.5, generator=seeded()), "to 1: got 1.5"),
        (lambda: draw_shapes(1, noise=float("nan"), generator=seeded()), "noise=nan"),
        (
            lambda: draw_shapes(1, weights=(1, 1, 1, float("nan")), generator=seeded()),
            r"finite, not negative, not all 0: got \(1, 1, 1, nan\)",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()

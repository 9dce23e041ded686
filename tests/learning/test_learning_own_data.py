"""Data sets of one's own, and published ones in their files' layouts."""

import gzip
import pickle
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image

from rramsim.exceptions import InputError
from rramsim.learning import TrainingSettings, images_of, load_images, train
from rramsim.networks import NetworkSpec

RNG = np.random.default_rng(3)


def idx(folder, *, mean, compress):
    folder.mkdir(parents=True)
    for name, count in (("train", 60), ("t10k", 20)):
        pixels = np.full((count, 28, 28), int(mean), dtype=np.uint8)
        pixels.reshape(-1)[: round((mean - int(mean)) * pixels.size)] += 1
        labels = (np.arange(count) % 10).astype(np.uint8)
        for kind, values in (("images-idx3", pixels), ("labels-idx1", labels)):
            axes = np.array(values.shape, dtype=">u4").tobytes()
            content = bytes([0, 0, 8, values.ndim]) + axes + values.tobytes()
            path = folder / f"{name}-{kind}-ubyte"
            if compress:
                with gzip.open(f"{path}.gz", "wb") as stream:
                    stream.write(content)
            else:
                path.write_bytes(content)
    return folder


@pytest.mark.parametrize(
    ("mean", "label", "name", "flip", "compress"),
    [
        (33.3184, "MNIST", "mnist", False, True),
        (72.9404, "Fashion-MNIST", "fashion-mnist", True, False),
        (50.0, "other", "images", False, False),
    ],
)
def test_idx_files_are_called_by_what_they_hold(tmp_path, mean, label, name, flip, compress):
    folder = idx(tmp_path / "other", mean=mean, compress=compress)
    data = load_images(name, path=folder)
    assert data.label == label and data.flip is flip and data.input_shape == (1, 28, 28)
    assert (len(data.train_labels), len(data.test_labels)) == (60, 20)
    with pytest.raises(InputError, match=f"holds {label} .* not CIFAR-10; use data = 'images'"):
        load_images("cifar10", path=folder)
    file = next(folder.iterdir())
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(InputError, match=file.name):
        load_images(name, path=folder)


def batch(count, *, labels, classes, first=0, text=False):
    values = {
        "data": RNG.integers(0, 256, (count, 3072), dtype=np.uint8),
        labels: [int(i) % classes + first for i in range(count)],
    }
    return pickle.dumps(values if text else {k.encode(): v for k, v in values.items()})


def test_cifar100_from_its_folder_and_imagenet32_from_its_batches(tmp_path):
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    for name, count in (("train", 200), ("test", 100)):
        (folder / name).write_bytes(batch(count, labels="fine_labels", classes=100))
    packed = tmp_path / "packed" / "cifar-100-python.tar.gz"
    packed.parent.mkdir()
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(folder, arcname=folder.name)
    for path in (folder, tmp_path, packed, packed.parent):
        data = load_images("cifar100", path=path)
        assert data.label == "CIFAR-100" and len(data.classes) == 100
        assert data.train_labels[:3].tolist() == [0, 1, 2]
    with pytest.raises(InputError, match=r"holds CIFAR-100 .* not CIFAR-10"):
        load_images("cifar10", path=folder)
    small = tmp_path / "imagenet"
    small.mkdir()
    for name in ("train_data_batch_1", "train_data_batch_2", "val_data"):
        (small / name).write_bytes(batch(50, labels="labels", classes=1000, first=1, text=True))
    data = load_images("imagenet32", path=small)
    assert data.label == "ImageNet32, 2 of 10 batches" and data.train_labels.min() == 0
    (small / "val_data").write_bytes(batch(5, labels="labels", classes=1002, first=0, text=True))
    with pytest.raises(InputError, match="val_data: its labels must be whole numbers 1 to 1000"):
        load_images("imagenet32", path=small)


def write_images(root, *, size=(20, 12), mode="RGB", classes=("cat", "dog", "fish"), parts=2):
    for part in ("train", "test")[:parts]:
        for name in classes:
            (root / part / name).mkdir(parents=True, exist_ok=True)
            for number in range(4):
                pixels = RNG.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
                picture = Image.fromarray(pixels).convert(mode)
                picture.save(root / part / name / f"{number}.png")
    return root


def test_a_folder_of_pets_is_called_by_its_own_name(tmp_path):
    data = load_images("images", path=write_images(tmp_path / "pets"))
    assert data.label == "pets" and data.input_shape == (3, 12, 20)
    assert data.flip and data.crop_pixels == 1
    grey = load_images("images", path=write_images(tmp_path / "numbers", mode="L",
                                                   classes=("0", "1", "2")))  # fmt: skip
    assert grey.input_shape == (1, 12, 20) and not grey.flip  # a mirrored digit is no digit
    with pytest.raises(InputError, match=r"holds pets \(cat, dog, fish"):
        load_images("cifar10", path=tmp_path / "pets")
    packed = tmp_path / "animals.tar.gz"
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(tmp_path / "pets", arcname=".")
    assert load_images("images", path=packed).label == "animals"


def test_folders_that_are_no_data_set_are_refused(tmp_path):
    mixed = write_images(tmp_path / "mixed")
    write_images(mixed, size=(16, 12), classes=("dog",))
    with pytest.raises(InputError, match=r"different sizes in train/, \d+ x 12 .* and \d+ x 12"):
        load_images("images", path=mixed)
    with pytest.raises(InputError, match="has no test/ part"):
        load_images("images", path=write_images(tmp_path / "half", parts=1))


def arrays(count=30, shape=(9, 9), classes=3):
    inputs = RNG.random((count, *shape)).astype(np.float32)
    return inputs, np.arange(count) % classes


def test_npz_of_floats_trains_and_keeps_its_name(tmp_path):
    (x, y), (a, b) = arrays(60, (5,)), arrays(30, (5,))
    path = tmp_path / "blood.npz"
    np.savez(path, x_train=x, y_train=y, x_test=a, y_test=b)
    data = load_images("images", path=path)
    assert data.label == "blood" and data.input_shape == (1, 1, 5) and len(data.classes) == 3
    spec = NetworkSpec(architecture="mlp", weights="ternary", activations="ternary", width=8,
                       input_shape=data.input_shape, classes=3)  # fmt: skip
    result = train(spec, data, TrainingSettings(epochs=1))
    assert float(result.network.standardise.deviation[0]) == pytest.approx(x.std(), rel=1e-3)
    np.savez(path, x_train=x, y_train=y)
    with pytest.raises(InputError, match=r"holds x_train, y_train; must hold .* test part"):
        load_images("images", path=path)


class Pairs(torch.utils.data.Dataset):
    def __init__(self, shapes):
        self.shapes = shapes

    def __len__(self):
        return len(self.shapes)

    def __getitem__(self, index):
        return torch.ones(self.shapes[index]) * index, index % 2


def test_datasets_and_tensors_from_python():
    data = images_of(Pairs([(3, 4, 4)] * 6), (torch.zeros(2, 3, 4, 4), torch.tensor([0, 1])),
                     label="mine")  # fmt: skip
    assert data.input_shape == (3, 4, 4) and data.train_labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert not data.flip and data.crop_pixels == 0
    assert images_of((np.zeros((4, 6, 5, 3)), [0, 1, 0, 1]), (np.zeros((1, 6, 5, 3)), [1]),
                     label="last").input_shape == (3, 6, 5)  # fmt: skip


REFUSED = [
    (Pairs([(3, 4, 4), (3, 4, 5)]), arrays(4, (3, 4, 4)), "inputs of different sizes"),
    (arrays(), (arrays()[0], np.full(30, 7)), "test labels run from 7 to 7, must lie between 0"),
    (arrays(), (arrays()[0], np.full(30, 0.5)), "labels are float64"),
    (arrays(), arrays(shape=(8, 9)), "both must have one shape"),
    (arrays(), (arrays()[0] * np.nan, arrays()[1]), "test: inputs hold NaN"),
    (arrays(), arrays(count=0), "must be numbers"),
]


@pytest.mark.parametrize(("one", "other", "message"), REFUSED)
def test_parts_that_do_not_fit_are_refused_in_one_line(one, other, message):
    with pytest.raises(InputError, match=message) as caught:
        images_of(one, other, label="mine")
    assert "\n" not in str(caught.value)


def test_a_part_of_the_test_images_is_balanced_though_the_set_is_sorted_by_class():
    labels = np.repeat(np.arange(3), 10)
    inputs = np.arange(30, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 2), dtype=np.uint8)
    data = images_of((inputs, labels), (inputs, labels), label="sorted")
    part = data.test_part(10)
    assert sorted(np.bincount(part.test_labels).tolist()) == [3, 3, 4]
    assert np.array_equal(part.test_images[:, 0, 0, 0] // 10, part.test_labels)
    assert np.array_equal(part.test_images, data.test_part(10).test_images)
    assert not np.array_equal(part.test_images, data.test_part(10, seed=1).test_images)
    assert data.test_part(0) is data and data.test_part(30) is data
    assert "balanced" in part.source["test_images"]
    with pytest.raises(InputError, match="images = 31: sorted has 30 test images"):
        data.test_part(31)


def test_an_unknown_name_is_refused_with_those_there_are():
    with pytest.raises(InputError, match="data = 'svhn': must be one of digits, cifar10"):
        load_images("svhn")

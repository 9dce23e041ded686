import io
import os
import pickle
import pickletools
import struct
import tarfile
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from rramsim.exceptions import InputError
from rramsim.files import cache_folder, file_digest
from rramsim.learning import ImageData, cifar_official, load_images
from rramsim.learning.cifar_official import (
    ARCHIVE_NAME,
    CIFAR10_CLASSES,
    content_digest,
    load_official_archive,
    load_official_folder,
    read_batch,
)
from rramsim.learning.data_sets import load_image_archive
from rramsim.learning.image_data import cached_arrays

BATCHES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5")


def batch(seed, count=4):
    """One batch in the official form: a protocol-2 pickle of byte-string keys."""
    rng = np.random.default_rng(seed)
    data = rng.integers(0, 256, (count, 3072), dtype=np.uint8)
    labels = rng.integers(0, 10, count).tolist()
    names = [f"{n}.png".encode() for n in range(count)]
    values = {
        b"batch_label": b"testing",
        b"labels": labels,
        b"data": data,
        b"filenames": names,
    }
    return pickle.dumps(values, protocol=2), data, labels


def official(folder):
    folder.mkdir()
    for seed, name in enumerate((*BATCHES, "test_batch")):
        (folder / name).write_bytes(batch(seed)[0])
    return folder


def test_a_batch_is_read_as_written():
    content, data, labels = batch(1)
    images, found = read_batch(content, "here")
    assert np.array_equal(images.reshape(4, -1), data) and images.shape == (4, 3, 32, 32)
    assert found.tolist() == labels and found.dtype == np.int64


def test_numpys_older_name_is_read_too():
    """The official files name numpy.core.multiarray, numpy 2 writes numpy._core.multiarray."""
    content, data, _ = batch(1)
    older = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert np.array_equal(read_batch(older, "here")[0].reshape(4, -1), data)


class Python2Pickler(pickle._Pickler):
    """Writes text and bytes as Python 2 wrote its strings, which the official files hold."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def save_string(self, text):
        value = text if isinstance(text, bytes) else text.encode("latin1")
        short = len(value) < 256
        head = pickle.SHORT_BINSTRING if short else pickle.BINSTRING
        self.write(head + struct.pack("<B" if short else "<i", len(value)) + value)
        self.memoize(text)

    dispatch[bytes] = dispatch[str] = save_string


def test_a_batch_as_python_2_wrote_it_is_read():
    content, data, labels = batch(1)
    stream = io.BytesIO()
    Python2Pickler(stream, protocol=2).dump(pickle.loads(content))
    older = stream.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    opcodes = {opcode.name for opcode, _, _ in pickletools.genops(older)}
    assert {"SHORT_BINSTRING", "BINSTRING"} <= opcodes and "BINUNICODE" not in opcodes
    images, found = read_batch(older, "here")
    assert np.array_equal(images.reshape(4, -1), data) and found.tolist() == labels


def test_official_images_in_new_files_are_still_the_official_set(tmp_path, monkeypatch):
    folder = official(tmp_path / "cifar-10-batches-py")
    found = load_official_folder(folder)
    assert found.label == "CIFAR-10 (altered)"
    monkeypatch.setattr(cifar_official, "_CONTENT_SHA256", content_digest(found))
    assert load_official_folder(folder).label == "CIFAR-10"
    (folder / "test_batch").write_bytes(batch(77)[0])
    assert load_official_folder(folder).label == "CIFAR-10 (altered)"


def test_images_can_be_handed_to_torch_without_a_warning(tmp_path):
    data = load_images("cifar10", path=official(tmp_path / "cifar-10-batches-py"))
    assert data.train_images.flags.writeable and data.test_images.flags.writeable


class Call:
    """Pickles to a call of any function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    "function", [os.system, eval, exec, __import__, np.load, np.frombuffer, getattr, print]
)
def test_a_pickle_that_calls_something_is_refused_and_not_run(protocol, function, capfd):
    argument = "print('run')"
    content = pickle.dumps({b"data": Call(function, argument), b"labels": []}, protocol=protocol)
    with pytest.raises(InputError, match="not a batch of images") as caught:
        read_batch(content, "here")
    assert "\n" not in str(caught.value)
    assert "run" not in capfd.readouterr().out


def test_a_pickle_cannot_alter_the_functions_it_may_name():
    # GLOBAL numpy.dtype, then BUILD with {"_call": None}.
    with pytest.raises(InputError, match="it alters a function"):
        read_batch(b"\x80\x02cnumpy\ndtype\n}U\x05_callNsb.", "here")
    assert read_batch(batch(1)[0], "here")[0].shape == (4, 3, 32, 32)


def test_tuples_nested_without_end_do_not_crash_the_interpreter():
    """Hashing a million nested tuples overflows the C stack."""
    content = b"\x80\x02}N" + b"\x85" * 1_000_000 + b"Ns."
    with pytest.raises(InputError, match="more than 100 tuples"):
        read_batch(content, "here")


def replaced(**changes):
    values = {b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 9]}
    values |= {key.encode(): value for key, value in changes.items()}
    return pickle.dumps(values, protocol=2)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage",
        pickle.dumps([1, 2], protocol=2),
        pickle.dumps({b"data": 1}, protocol=2),
        batch(1)[0][:-100],
        replaced(data=np.zeros((2, 3071), np.uint8)),
        replaced(data=np.zeros((2, 3072), np.int16)),
        replaced(data=np.zeros((2, 3072), object)),
        replaced(data=np.zeros((3072, 2), np.uint8).T),
        replaced(labels=[0]),
        replaced(labels=[0, 10]),
        replaced(labels=[0, -1]),
        replaced(labels=[0, 1.0]),
        replaced(labels=[0, True]),
    ],
)
def test_what_is_no_batch_is_refused_in_one_line(content):
    with pytest.raises(InputError, match=r"^here: ") as caught:
        read_batch(content, "here")
    assert "\n" not in str(caught.value)


def test_the_extracted_folder_loads_in_the_official_order(tmp_path):
    data = load_images("cifar10", path=official(tmp_path / "cifar-10-batches-py"))
    assert data.train_images.shape == (20, 3, 32, 32)
    assert np.array_equal(data.train_images[4:8].reshape(4, -1), batch(1)[1])
    assert data.test_labels.tolist() == batch(5)[2]
    assert data.classes == CIFAR10_CLASSES == tuple(sorted(CIFAR10_CLASSES))
    # These are not the official images, and the label says so.
    assert data.label == "CIFAR-10 (altered)"
    assert load_images("cifar10", path=tmp_path).label == data.label


def test_the_official_archive_loads_if_its_md5_is_right(tmp_path):
    folder = official(tmp_path / "cifar-10-batches-py")
    path = tmp_path / ARCHIVE_NAME
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, folder.name)
    with pytest.raises(InputError, match="the official archive has c58f30108f718f92721af3b95e7434"):
        load_images("cifar10", path=path)
    data = load_official_archive(path, md5=file_digest(path, "md5"))
    assert data.label == "CIFAR-10" and data.source["file"] == ARCHIVE_NAME
    assert np.array_equal(data.train_images, load_official_folder(folder).train_images)


def test_a_missing_batch_is_named(tmp_path):
    folder = official(tmp_path / "cifar-10-batches-py")
    (folder / "data_batch_3").unlink()
    with pytest.raises(InputError, match="data_batch_3: cannot be read"):
        load_images("cifar10", path=folder)


def picture(seed, size=(32, 32), mode="RGB", form="PNG"):
    rng = np.random.default_rng(seed)
    shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
    stream = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8), mode).save(stream, form)
    return stream.getvalue()


def blank(side):
    """A black image: huge in pixels, small as a file."""
    stream = io.BytesIO()
    Image.fromarray(np.zeros((side, side, 3), dtype=np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def image_files(classes=("ant", "bee")):
    files = {}
    for part in ("train", "test"):
        for index, name in enumerate(classes):
            for number in (2, 10, 1):
                files[f"{part}/{name}/{number}.png"] = picture(100 * index + number)
    return files


def image_archive(path, files):
    with tarfile.open(path, "w:xz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.delenv("RRAMSIM_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "rramsim"


def test_an_image_archive_loads_in_class_then_number_order(tmp_path, cache):
    path = image_archive(tmp_path / "cifar10_test.tar.xz", image_files())
    data = load_images("images", path=path)
    assert data.classes == ("ant", "bee") and data.train_labels.tolist() == [0, 0, 0, 1, 1, 1]
    pixels = np.asarray(Image.open(io.BytesIO(picture(10)))).transpose(2, 0, 1)
    assert np.array_equal(data.train_images[2], pixels)
    assert data.label == "cifar10_test" and len(data.source["sha256"]) == 64
    assert data.input_shape == (3, 32, 32)
    # The folder that holds it, and the same files unpacked, load alike.
    assert np.array_equal(load_images("images", path=tmp_path).test_images, data.test_images)
    for name, content in image_files().items():
        (tmp_path / "files" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "files" / name).write_bytes(content)
    again = load_images("images", path=tmp_path / "files")
    assert np.array_equal(again.train_images, data.train_images)
    assert np.array_equal(again.test_labels, data.test_labels)


def test_the_cache_is_used_checked_and_never_needed(tmp_path, cache):
    path = image_archive(tmp_path / "cifar10_test.tar.xz", image_files())
    data = load_images("images", path=path)
    (stored,) = cache.iterdir()
    assert np.array_equal(load_images("images", path=path).train_images, data.train_images)
    for damage in (stored.read_bytes()[:-200], b"", b"PK garbage"):
        stored.write_bytes(damage)
        assert np.array_equal(load_images("images", path=path).train_images, data.train_images)
        assert len(stored.read_bytes()) > 1000


def test_altered_cached_arrays_are_decoded_again(tmp_path):
    honest = {"a": np.arange(5), "b": np.array(["x", "y"])}
    assert np.array_equal(cached_arrays(tmp_path, "k", lambda: honest)["a"], np.arange(5))
    (stored,) = tmp_path.iterdir()
    with np.load(stored) as values:
        content = dict(values)
    np.savez(stored, **(content | {"a": np.arange(5) + 1}))
    assert np.array_equal(cached_arrays(tmp_path, "k", lambda: honest)["a"], np.arange(5))


def test_a_cache_that_cannot_be_written_is_passed_over(tmp_path):
    (tmp_path / "file").write_text("in the way")
    arrays = cached_arrays(tmp_path / "file" / "x", "k", lambda: {"a": np.zeros(3)})
    assert arrays["a"].tolist() == [0, 0, 0]


@pytest.fixture
def no_cache_named(monkeypatch):
    for name in ("RRAMSIM_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_the_cache_folder_is_the_one_named_or_follows_xdg(no_cache_named, tmp_path):
    no_cache_named.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "rramsim"
    no_cache_named.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "rramsim"
    no_cache_named.setenv("RRAMSIM_CACHE", str(tmp_path / "named"))
    assert cache_folder() == tmp_path / "named" and cache_folder().is_dir()
    no_cache_named.setenv("RRAMSIM_CACHE", "/dev/null/none")
    with pytest.raises(InputError, match=r"RRAMSIM_CACHE = /dev/null/none: cannot make"):
        cache_folder()


def test_without_a_home_the_cache_is_a_folder_of_the_users_own(no_cache_named, tmp_path):
    no_cache_named.setenv("HOME", "/dev/null/none")
    no_cache_named.setattr("tempfile.tempdir", str(tmp_path))
    folder = cache_folder()
    assert folder.parent == tmp_path and folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)  # it holds code
    with pytest.raises(InputError, match=r"others can write there.*RRAMSIM_CACHE"):
        cache_folder()
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(InputError, match="not yours"):
        cache_folder()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train/ant/3.png": picture(1, size=(33, 32))}, "different sizes in train/"),
        ({"train/ant/3.png": blank(9000)}, "9000 x 9000 pixels of mode RGB"),
        ({"train/ant/3.png": blank(32) + bytes(1 << 24)}, "must be at most 16777216"),
        ({"train/ant/3.png": picture(1, mode="L")}, "32 x 32 pixels of grey"),
        ({"train/ant/3.png": b"no image"}, "not a JPEG or PNG image"),
        ({"train/ant/3.png": picture(1)[:200]}, "damaged image"),
        ({"train/ant/3.jpg": picture(1, form="GIF")}, "not a JPEG or PNG image"),
        ({"train/cow/1.png": picture(1)}, "both must be there and agree"),
        ({"1.png": picture(1)}, "must lie at train/<class>"),
        ({"../x/train/ant/3.png": picture(1)}, "leads out of the archive"),
        ({"/train/ant/3.png": picture(1)}, "leads out of the archive"),
    ],
)
def test_an_archive_with_a_wrong_image_is_refused_and_not_cached(tmp_path, cache, change, message):
    path = image_archive(tmp_path / "cifar10_bad.tar.xz", image_files() | change)
    with pytest.raises(InputError, match=message) as caught:
        load_images("images", path=path)
    assert "\n" not in str(caught.value)
    assert not cache.exists() or not any(cache.iterdir())


def test_an_archive_without_images_is_refused(tmp_path):
    path = image_archive(tmp_path / "cifar10_bad.tar.xz", {"readme.txt": b"hello"})
    with pytest.raises(InputError, match="both must be there and agree"):
        load_image_archive(path)


@pytest.mark.parametrize(
    ("name", "path", "message"),
    [
        ("svhn", None, "data = 'svhn': must be one of digits, cifar10"),
        ("cifar10", None, "no path given; set RRAMSIM_DATA"),
        ("cifar10", Path("/nonexistent/x"), "no such file or folder"),
    ],
)
def test_a_data_set_that_is_not_there_is_explained(name, path, message):
    with pytest.raises(InputError, match=message):
        load_images(name, path=path)


def test_files_and_folders_that_hold_no_data_set_are_refused(tmp_path):
    with pytest.raises(InputError, match="holds no data set"):
        load_images("cifar10", path=tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match="not a data set"):
        load_images("cifar10", path=tmp_path / "notes.txt")


def test_digits_are_scikit_learns_in_a_fixed_stratified_split():
    data = load_images("digits")
    assert (len(data.train_labels), len(data.test_labels)) == (1347, 450)
    assert data.label == "scikit-learn digits"
    share = np.bincount(data.test_labels) / np.bincount(load_digits().target)
    assert np.allclose(share, 450 / 1797, atol=0.005)
    both = np.concatenate([data.train_images, data.test_images])
    assert both.sum(dtype=int) == np.round(load_digits().images * 255 / 16).sum()
    assert np.array_equal(load_images("digits").test_images, data.test_images)


def test_subsets_are_drawn_without_replacement_and_say_so():
    data = load_images("digits")
    small = data.subset(train=100, test=50, seed=3)
    assert (len(small.train_labels), len(small.test_labels)) == (100, 50)
    assert small.label == "scikit-learn digits, 100 + 50 images"
    assert np.array_equal(data.subset(train=100, test=50, seed=3).test_images, small.test_images)
    whole = data.subset(train=1347, test=450)
    assert np.array_equal(whole.train_images, data.train_images)
    with pytest.raises(InputError, match="451 test images wanted, must be 1 to 450"):
        data.subset(train=1, test=451)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_images": np.zeros((2, 1, 4, 4))}, "must be uint8"),
        ({"train_labels": np.zeros(3, np.int64)}, "must be int64 of shape"),
        ({"test_labels": np.zeros(2, np.int32)}, "must be int64 of shape"),
        ({"test_labels": np.full(2, 2)}, "must lie between 0 and 1"),
        ({"test_images": np.zeros((2, 1, 4, 5), np.uint8)}, "both must have one shape"),
    ],
)
def test_image_data_that_disagree_are_refused(changes, message):
    values = {
        "train_images": np.zeros((2, 1, 4, 4), np.uint8),
        "train_labels": np.zeros(2, np.int64),
        "test_images": np.zeros((2, 1, 4, 4), np.uint8),
        "test_labels": np.zeros(2, np.int64),
        "classes": ("a", "b"),
        "label": "set",
    }
    ImageData(**values)
    with pytest.raises(InputError, match=message):
        ImageData(**(values | changes))

import gzip
import io
import lzma
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rramsim.exceptions import InputError
from rramsim.learning.image_data import archive_members, check_member_name

CONTENT = b"pixels" * 100


def packed(members, mode="w"):
    """A tar archive of (name, contents) or of ready TarInfo objects."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member, io.BytesIO(b"\0" * member.size))
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return stream.getvalue()


def read(path, limit=10_000):
    return list(archive_members(path, max_member_bytes=limit))


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_members_are_read_in_order(tmp_path, mode):
    path = tmp_path / "a.tar"
    path.write_bytes(packed([("b/1", CONTENT), ("a", b"")], mode))
    assert read(path) == [("b/1", CONTENT), ("a", b"")]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_archive_is_refused(tmp_path, mode, share):
    whole = packed([(f"train/{n}", bytes(range(256)) * 20) for n in range(10)], mode)
    path = tmp_path / "a.tar"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputError) as caught:
        read(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress])
def test_a_flipped_bit_is_noticed(tmp_path, compress):
    whole = bytearray(compress(packed([("a", bytes(range(256)) * 30)])))
    path = tmp_path / "a.tar"
    for position in (len(whole) // 2, len(whole) - 6):
        damaged = bytearray(whole)
        damaged[position] ^= 0x10
        path.write_bytes(damaged)
        with pytest.raises(InputError):
            read(path)


outward = st.one_of(
    st.text("abc/", min_size=1, max_size=10).map(lambda s: "/" + s),
    st.lists(st.sampled_from(["a", "b", ".."]), min_size=1, max_size=6)
    .filter(lambda parts: ".." in parts)
    .map("/".join),
    st.text("ab\\", min_size=1, max_size=8).filter(lambda s: "\\" in s),
    st.sampled_from(["C:\\windows", "c:x", "a\0b"]),
)


@given(outward)
def test_names_that_lead_outwards_are_refused(name):
    with pytest.raises(InputError, match="leads out of the archive"):
        check_member_name(name, Path("a.tar"))


@given(st.lists(st.text("abc.1_- ", min_size=1).filter(lambda s: s != ".."), min_size=1))
def test_names_inside_are_admitted(parts):
    check_member_name("/".join(parts), Path("a.tar"))


@settings(max_examples=20, deadline=None)
@given(outward.filter(lambda name: "\0" not in name))
def test_an_archive_with_an_outward_member_writes_nothing(tmp_path_factory, name):
    folder = tmp_path_factory.mktemp("outward")
    path = folder / "a.tar"
    path.write_bytes(packed([("train/ok", CONTENT), (name, CONTENT)]))
    with pytest.raises(InputError, match="leads out of the archive"):
        read(path)
    assert list(folder.iterdir()) == [path]


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_are_refused(tmp_path, kind):
    info = tarfile.TarInfo("train/cat/1.jpg")
    info.type, info.linkname = kind, "/etc/passwd"
    path = tmp_path / "a.tar"
    path.write_bytes(packed([info]))
    with pytest.raises(InputError, match="is a link or a device"):
        read(path)


def test_a_member_that_is_too_large_is_refused_before_it_is_read(tmp_path):
    info = tarfile.TarInfo("train/cat/1.jpg")
    info.size = 1 << 40
    path = tmp_path / "a.tar"
    path.write_bytes(info.tobuf())
    with pytest.raises(InputError, match="must be at most 10000"):
        read(path)


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("rramsim.learning.image_data._MAX_UNPACKED", 100_000)
    path = tmp_path / "a.tar.xz"
    path.write_bytes(packed([(str(n), b"\0" * 9_000) for n in range(100)], "w:xz"))
    assert path.stat().st_size < 10_000
    with pytest.raises(InputError, match="unpacks to more than"):
        read(path)


def test_a_header_that_asks_for_too_much_is_refused(tmp_path, monkeypatch):
    """A long-name header is read by tarfile itself, whatever it says its size is."""
    monkeypatch.setattr("rramsim.learning.image_data._MAX_UNPACKED", 100_000)
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 33
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(info.tobuf() + b"a" * 1_000_000))
    with pytest.raises(InputError):
        read(path)


@pytest.mark.parametrize("content", [b"", b"not an archive", b"\xfd7zXZ\x00rest", b"\x1f\x8brest"])
def test_what_is_no_archive_is_refused(tmp_path, content):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"corrupt|cannot be read"):
        read(path)


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read(tmp_path / "none.tar")
    with pytest.raises(InputError, match="Is a directory"):
        read(tmp_path)

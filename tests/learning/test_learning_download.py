import hashlib
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from rramsim.exceptions import InputError, MachineError
from rramsim.learning import CIFAR10_URL, download_cifar10
from rramsim.learning.cifar_official import ARCHIVE_NAME

CONTENT = bytes(range(256)) * 4000
MD5 = hashlib.md5(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests += 1
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: 1000 if self.path == "/cut" else None])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with HTTPServer(("127.0.0.1", 0), Handler) as running:
        running.requests = 0
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def fetch(folder, server, page="whole", md5=MD5):
    url = f"http://127.0.0.1:{server.server_port}/{page}"
    return download_cifar10(folder, url=url, md5=md5, timeout_s=5)


def test_the_archive_is_fetched_once(tmp_path, server, capfd):
    path = fetch(tmp_path / "data", server)
    assert path == tmp_path / "data" / ARCHIVE_NAME and path.read_bytes() == CONTENT
    assert capfd.readouterr().out == ""
    assert fetch(tmp_path / "data", server) == path
    assert server.requests == 1


@pytest.mark.parametrize(
    ("page", "md5", "message"),
    [
        ("cut", MD5, "broke off after 1000 of 1024000 bytes"),
        ("missing", MD5, "answered 404"),
        ("whole", "0" * 32, f"md5 {MD5}, must be 0000"),
    ],
)
def test_a_download_that_fails_leaves_nothing(tmp_path, server, page, md5, message):
    with pytest.raises(MachineError, match=message) as caught:
        fetch(tmp_path, server, page, md5)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_archive_that_was_there_survives_a_failed_download(tmp_path, server):
    (tmp_path / ARCHIVE_NAME).write_bytes(b"old")
    with pytest.raises(MachineError):
        fetch(tmp_path, server, "cut")
    assert (tmp_path / ARCHIVE_NAME).read_bytes() == b"old"
    fetch(tmp_path, server)
    assert (tmp_path / ARCHIVE_NAME).read_bytes() == CONTENT


def test_no_network_is_one_clear_line(tmp_path):
    with pytest.raises(MachineError, match=r"cannot be fetched .*refused"):
        download_cifar10(tmp_path, url="http://127.0.0.1:9/x", timeout_s=2)


def test_addresses_and_folders_that_cannot_be_used(tmp_path):
    with pytest.raises(InputError, match="must begin with https"):
        download_cifar10(tmp_path, url="file:///etc/passwd")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError):
        download_cifar10(tmp_path / "file")
    assert CIFAR10_URL.startswith("https://www.cs.toronto.edu/")

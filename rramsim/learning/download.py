"""Fetch the official CIFAR-10 archive, whole and checked, or not at all."""

import hashlib
import http.client
import urllib.error
import urllib.request
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from rramsim.exceptions import InputError, MachineError
from rramsim.files import atomic_path, output_folder
from rramsim.learning.cifar_official import ARCHIVE_MD5, ARCHIVE_NAME, file_digest

__all__ = ["CIFAR10_URL", "download_cifar10"]

CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
_MAX_BYTES = 1 << 28
_CHUNK = 1 << 18


def download_cifar10(
    folder: Path, *, url: str = CIFAR10_URL, md5: str = ARCHIVE_MD5, timeout_s: float = 30.0
) -> Path:
    """Put the official archive into `folder` and return its path; progress goes to standard error.

    An archive that is there already and has the published md5 is kept. Raises `MachineError` if the
    address cannot be reached, answers with an error or breaks off, and `InputError` if the folder
    cannot be written. A download with another md5 is thrown away.
    """
    if not url.startswith(("https://", "http://")):
        raise InputError(f"url = {url!r}: must begin with https:// or http://")
    target = output_folder(Path(folder)) / ARCHIVE_NAME
    if target.exists() and file_digest(target, "md5") == md5:
        return target
    with atomic_path(target) as temporary:
        try:
            found = _fetch(url, temporary, timeout_s)
        except urllib.error.HTTPError as error:
            raise MachineError(f"{url}: answered {error.code} {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise MachineError(
                f"{url}: cannot be fetched ({reason}); fetch it by other means into {folder}"
            ) from error
        if found != md5:
            raise MachineError(f"{url}: fetched a file of md5 {found}, must be {md5}; thrown away")
    return target


def _fetch(url: str, path: Path, timeout_s: float) -> str:
    """Write what the address serves to `path`; return its md5."""
    digest = hashlib.md5()
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    progress = Progress(*columns, TransferSpeedColumn(), console=Console(stderr=True))
    with urllib.request.urlopen(url, timeout=timeout_s) as response, path.open("wb") as stream:
        length = response.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else None
        received = 0
        with progress:
            task = progress.add_task(ARCHIVE_NAME, total=total)
            while chunk := response.read(_CHUNK):
                received += len(chunk)
                if received > _MAX_BYTES:
                    raise OSError(f"serves more than {_MAX_BYTES} bytes")
                digest.update(chunk)
                stream.write(chunk)
                progress.update(task, advance=len(chunk))
        if total is not None and received < total:
            raise OSError(f"broke off after {received} of {total} bytes")
    return digest.hexdigest()

"""Execute the notebooks, once for the site's gallery and for their test.

python docs/make_gallery.py [NAME ...]

What came out is kept in docs/_build/notebooks under a hash of the notebook and of the program, and
is used again until either changes.
"""

import hashlib
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
KEPT = ROOT / "docs" / "_build" / "notebooks"
_MATTERS = ("rramsim/**/*.py", "rramsim/**/*.csv", "netlists/**/*", "experiments/*.toml")


def executed(path: Path) -> Path:
    """A copy of the notebook with its outputs; raises `CellExecutionError` where a cell fails."""
    kept = KEPT / f"{path.stem}-{_hash(path)}.ipynb"
    if kept.is_file():
        return kept
    os.environ["RRAMSIM_QUICK"] = "1"
    notebook = nbformat.read(path, as_version=4)
    with TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()
    KEPT.mkdir(parents=True, exist_ok=True)
    for older in KEPT.glob(f"{path.stem}-*.ipynb"):
        older.unlink()
    nbformat.write(notebook, kept)
    return kept


def _hash(path: Path) -> str:
    value = hashlib.sha256(path.read_bytes())
    for pattern in _MATTERS:
        for file in sorted(ROOT.glob(pattern)):
            value.update(file.read_bytes() if file.is_file() else b"")
    return value.hexdigest()[:16]


def write_gallery(folder: Path) -> None:
    """The executed notebooks as pages of the site, and the page that lists them."""
    folder.mkdir(exist_ok=True)
    with ProcessPoolExecutor(max_workers=2) as pool:
        found = dict(zip(NOTEBOOKS, pool.map(executed, NOTEBOOKS), strict=True))
    for path, kept in found.items():
        text = kept.read_text(encoding="utf-8").replace("(../docs/", "(../")
        (folder / path.name).write_text(text, encoding="utf-8")
    names = "\n".join(path.stem for path in NOTEBOOKS)
    (folder / "index.md").write_text(
        "# Gallery\n\nThe notebooks of `notebooks/`, executed when this site was built, with fewer "
        f"draws where they offer that.\n\n```{{toctree}}\n:maxdepth: 1\n{names}\n```\n"
    )


if __name__ == "__main__":
    for name in sys.argv[1:] or [path.stem for path in NOTEBOOKS]:
        print(executed(ROOT / "notebooks" / f"{name}.ipynb"))

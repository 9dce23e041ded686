"""Faults of the machine under whole commands: caches, disks, libraries, killed processes."""

import os
import subprocess
import sys

import pytest

FUNCTION = """
import sys
from rramsim.compiled import compiled

@compiled()
def double(value):
    return 2 * value

print(double(21))
"""


def python(*arguments, **environment):
    paths = os.pathsep.join(filter(None, sys.path))
    return subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, check=False,
        timeout=300, env=os.environ | {"PYTHONPATH": paths} | environment,
    )  # fmt: skip


@pytest.mark.parametrize("damage", [b"", b"xx"])
def test_damaged_results_of_the_compiler_are_made_again_with_a_word(tmp_path, damage):
    script = tmp_path / "function.py"
    script.write_text(FUNCTION)
    assert python(script).stdout == "42\n"
    for suffix in ("nbi", "nbc"):
        (kept,) = tmp_path.rglob(f"*.{suffix}")
        whole = kept.read_bytes()
        kept.write_bytes(damage)
        ran = python(script)
        assert (ran.stdout, ran.returncode) == ("42\n", 0)
        assert f"{kept} is damaged" in ran.stderr and "compiled again" in ran.stderr
        assert len(kept.read_bytes()) == len(whole)
        assert python(script).stderr == ""

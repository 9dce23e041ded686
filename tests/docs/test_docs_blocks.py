"""Every code block of the documentation runs, loads, or at least parses.

Marked `run`: executed in a folder like a checkout. TOML: loaded. Other shell lines, those
marked `not run` too: parsed by the program that they call, without doing what they say.
"""

import argparse
import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from blocks import BLOCKS, PAGES, ROOT, Block, blocks_of

from rramsim.cli.app import app
from rramsim.experiment import load_experiment
from rramsim.processes.process import read_cards
from rramsim.spice import read_deck

PROGRAM = typer.main.get_command(app)
TUTORIAL = ROOT / "docs" / "tutorial.md"
WITH_RUNS = [TUTORIAL, ROOT / "docs" / "how-to.md"]
"""Pages whose blocks run whole experiments."""
NOT_RUN = 2
"""Blocks marked `not run`: the GPU's. A new one needs a reason beside it, and this number."""


class _Parsed(Exception):
    """The command line was understood; nothing is done."""


@pytest.fixture
def checkout(tmp_path, monkeypatch) -> Path:
    """A folder with what a reader has: the checkout's files, and `rramsim` on the path."""
    for name in ("experiments", "netlists", "measurements"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "bin").mkdir()
    for name, arguments in (("rramsim", "-m rramsim "), ("python", "")):
        program = tmp_path / "bin" / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments}"$@"\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("RRAMSIM_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", [page for page in PAGES if page not in WITH_RUNS], ids=_name)
def test_the_blocks_of_a_page_work_in_their_order(page, checkout):
    _follow(blocks_of(page), checkout)


@pytest.mark.parametrize("page", WITH_RUNS, ids=_name)
def test_the_lines_of_a_page_with_runs_are_understood(page, checkout):
    for block in blocks_of(page):
        for words in block.commands if block.language in ("sh", "console") else []:
            _parse(words, block.name)


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_RUNS, ids=_name)
def test_a_page_runs_from_its_first_to_its_last_block(page, checkout):
    _follow(blocks_of(page), checkout)
    for folder in ("mine", "measured") if page == TUTORIAL else ():
        assert "MPRE1" in (checkout / "runs" / folder / "report.html").read_text()


def _follow(blocks: list[Block], checkout: Path) -> None:
    names: dict[str, object] = {}
    for block in blocks:
        not_run = block.mark.startswith("not run: ") and block.language not in ("sh", "console")
        if not_run or block.language in ("text", "pycon"):
            continue
        if block.mark.startswith("write: "):
            (checkout / block.mark.removeprefix("write: ")).write_text(block.text)
        if block.language == "python":
            exec(compile(block.text, block.name, "exec"), names)
        elif block.language == "toml":
            (checkout / "block.toml").write_text(block.text)
            load_experiment(checkout / "block.toml")
        elif block.language == "spice":
            (checkout / "block.spice").write_text(block.text)
            (read_cards if ".model" in block.text else read_deck)(checkout / "block.spice")
        elif block.mark == "run":
            _run(block)
        else:
            assert block.language in ("sh", "console"), f"{block.name}: say what language it is"
            for words in block.commands:
                _parse(words, block.name)


def _run(block: Block) -> None:
    script = (
        "\n".join(map(shlex.join, block.commands)) if block.language == "console" else block.text
    )
    done = subprocess.run(
        ["bash", "-euc", script], capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, f"{block.name}: {done.stdout}\n{done.stderr}"
    if block.language == "console":
        shown = [line for line in block.text.splitlines() if not line.startswith("$ ")]
        any_version = re.compile(r"ngspice \d+")
        assert [any_version.sub("ngspice", line) for line in done.stdout.splitlines()] == [
            any_version.sub("ngspice", line) for line in shown
        ], block.name


def _parse(words: list[str], where: str) -> None:
    """Let the program that `words` call understand them; raise if it does not."""
    if words[0] == "rramsim":
        _parse_rramsim(words[1:], where)
    elif words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.M), (
            f"{where}: {words}"
        )
    elif words[:3] == ["python", "-m", "benchmarks"]:
        _parse_benchmark(words[3:], where)
    elif words[:2] == ["python", "-c"]:
        compile(words[2], where, "exec")
    elif words[0] == "python":
        assert (ROOT / words[1]).is_file(), f"{where}: {words}"
    elif words[0] == "pip":
        (extra,) = re.findall(r"\.\[(\w+)\]", " ".join(words))
        assert f"\n{extra} = [" in (ROOT / "pyproject.toml").read_text(), f"{where}: {words}"
    else:
        assert words[0] in ("dask", "pytest", "sed", "cp"), f"{where}: {words[0]} is not known here"


def _parse_rramsim(words: list[str], where: str) -> None:
    command, path = PROGRAM, "rramsim"
    while words and words[0] in getattr(command, "commands", {}):
        path, command = f"{path} {words[0]}", command.get_command(None, words[0])
        words = words[1:]
    assert not getattr(command, "commands", None) or words[:1] == ["--help"], f"{where}: {words}"
    try:
        command.make_context(path, list(words))
    except Exception as error:
        raise AssertionError(f"{where}: {path} {shlex.join(words)}: {error!r}") from error


def _parse_benchmark(words: list[str], where: str) -> None:
    parse = argparse.ArgumentParser.parse_args

    def parsed(self, arguments=None, namespace=None):
        parse(self, arguments, namespace)
        raise _Parsed

    module = importlib.import_module(f"benchmarks.{words[0]}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", parsed)
        try:
            with pytest.raises(_Parsed):
                module.main(words[1:])
        except SystemExit as end:
            raise AssertionError(f"{where}: benchmarks {shlex.join(words)}") from end


def _inline() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.S | re.M)
        text = " ".join(text.split())
        for code in re.findall(r"`((?:rramsim|python -m benchmarks) [^`]+)`", text):
            schema = re.fullmatch(r"rramsim [a-z ]+ \d", code)
            if not schema and not re.search(r"\.\.\.|COMMAND|NAME\b|STAGE", code):
                found.append((page.name, code))
    return sorted(set(found))


@pytest.mark.parametrize(("page", "code"), _inline())
def test_a_command_named_in_the_text_exists_with_its_options(page, code):
    words = shlex.split(code)
    if words[0] == "python":
        _parse_benchmark(words[3:], page)
        return
    command, rest = PROGRAM, words[1:]
    while rest and rest[0] in getattr(command, "commands", {}):
        command, rest = command.get_command(None, rest[0]), rest[1:]
    assert command is not PROGRAM or rest[0].startswith("--"), f"{page}: {code}"
    known = {name for parameter in command.params for name in parameter.opts} | {"--help"}
    for word in rest:
        assert not word.startswith("--") or word in known, f"{page}: {code}: {word}"


def test_blocks_that_do_not_run_are_counted():
    assert sum(block.mark.startswith("not run: ") for block in BLOCKS) == NOT_RUN
    for block in BLOCKS:
        assert re.fullmatch(r"|run|write: [\w./-]+|not run: .{5,}", block.mark), block.name


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_code_stands_in_fences(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.S | re.M)
    assert not re.search(r"\n\n {4}\S", text), "an indented block is not checked: fence it"

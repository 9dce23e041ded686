"""Write the reference pages from the code: commands and Python; for the site keys and files too.

python docs/make_reference.py
"""

import doctest
import inspect
import re
import textwrap
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

import rramsim
from rramsim.cli.app import app
from rramsim.experiment import experiment_keys
from rramsim.numbers import LARGEST_SEED
from rramsim.stages import STAGES
from rramsim.stages.folder import EXPERIMENT, PROVENANCE
from rramsim.verbs import campaigns, networks, plots, sensing, tradeoffs

_FOLDER = Path(__file__).parent
TASKS = {
    "Sense": sensing,
    "Count errors": campaigns,
    "Train and test networks": networks,
    "Weigh energy against accuracy": tradeoffs,
    "Plot": plots,
}
_WRITTEN = "<!-- Written by docs/make_reference.py; do not edit. -->\n"


def commands_page() -> str:
    """Every command with the question that it answers, and its example."""
    parts = [
        _WRITTEN,
        "# Commands\n",
        "`rramsim COMMAND --help` explains arguments and options. Every command takes `--quiet` "
        "(`-q`) and `--verbose` (`-v`); `--json` prints one JSON object on standard output. Exit "
        "status 0: worked, 2: your input is at fault, 1: anything else. "
        "`rramsim --install-completion` completes commands in your shell.\n",
    ]
    for _, command in _leaves("rramsim", typer.main.get_command(app)):
        text = textwrap.dedent(command.help or "").strip()
        before, _, example = text.partition("Example: ")
        parts.append(f"{' '.join(before.split(chr(10) * 2)[0].split())}\n")
        parts.append(f"```sh\n{' '.join(example.split())}\n```\n")
    return "\n".join(parts)


def keys_page() -> str:
    """Every key of an experiment with its default and meaning."""
    parts = [
        _WRITTEN,
        "# Keys of an experiment\n",
        "`rramsim init FILE` writes a file with all of them. In brackets: the default; then the "
        "unit, the words that may stand, and `list` where a list may stand, an axis of the sweep. "
        'Numbers may be written as SPICE writes them ("50n", "10k").\n',
    ]
    for section, meaning, keys in experiment_keys():
        shown = [
            f"* `{key}`{f' (`{default}`)' * bool(default)}: {_signs(text)}"
            for key, default, text in keys
        ]
        parts += [f"## [{section}]\n", f"{meaning}\n", "\n".join(shown) + "\n"]
    return "\n".join(parts)


def _signs(text: str) -> str:
    """The limits in the brackets at the end in signs; those of what a computer holds left out."""
    before, opened, notes = text.rpartition(" (")
    if not opened or not notes.endswith(")"):
        return text
    notes = re.sub(r"between (\S+) and ([\d.e+-]+)", r"\1 to \2", notes.removesuffix(")"))
    kept = [note for note in notes.split("; ") if not note.endswith(str(LARGEST_SEED))]
    for words, sign in (("at least ", "≥"), ("at most ", "≤"), ("above ", ">"), ("below ", "<")):
        kept = [re.sub(rf"(^|and ){words}(?=[\d.])", rf"\1{sign}", note) for note in kept]
    return f"{before} ({'; '.join(kept)})" if kept else before


def files_page() -> str:
    """The stages with their files and what each column means; what many files have, once."""
    parts = [
        _WRITTEN,
        "# Files of a run\n",
        "What `rramsim run` leaves in its folder, by stage (\\*: with `--stage` only). Tables are "
        "CSV, labelled arrays netCDF, the rest JSON; by lines of `.jsonl` an interrupted run goes "
        "on. An empty field has no value. `_low` and `_high`, in JSON `low` and `high`, end a 95 % "
        "interval.\n",
    ]
    files = {file.name: file for stage in STAGES for file in stage.files}.values()
    many = Counter(
        column
        for file in files
        for column in {(name.rpartition(".")[2], text) for name, text in _folded(file.columns())}
        if not hasattr(file, "variables")
    )
    common = {name: text for (name, text), times in many.items() if times > 1}
    parts += ["In several files:\n", _listed(sorted(common.items())) + "\n"]
    for stage in STAGES:
        needs = [f"`{file.name}`" for file in stage.needs] + ["images"] * stage.images
        reads = f" Reads {', '.join(needs)}." if needs else ""
        star = "" if stage.of_run else " \\*"
        parts.append(f"## {stage.name}{star}\n\n{stage.answers}{reads}\n")
        parts += [_file(file, common) for file in stage.files]
    parts.append("## Of the folder\n")
    return "\n".join([*parts, *(_file(file, common) for file in (EXPERIMENT, PROVENANCE))])


def _file(file: Any, common: dict[str, str]) -> str:
    columns = _folded(file.columns())
    top = [name for name, _ in columns if "." not in name]
    own = {name: text for name, text in columns if common.get(name) != text and name in top}
    if not columns:
        return f"`{file.name}`: {file.holds}.\n"
    over = getattr(file, "variables", {})
    lines = [f"### {file.name}\n", f"{file.holds[0].upper()}{file.holds[1:]}.\n"]
    if len(top) < len(columns):
        told: set[str] = set()
        lines += [", ".join(f"`{name}`{_inside(name, columns, told)}" for name in top) + ".\n"]
        inner = {name.rpartition(".")[2]: text for name, text in columns if "." in name}
        own |= {name: text for name, text in inner.items() if common.get(name) != text}
    elif known := [f"`{name}`" for name in top if name not in own and not over]:
        lines += [f"{', '.join(known)}{'; and' if own else '.'}\n"]
    for at in dict.fromkeys(over.values()):
        within = [(name, text) for name, text in columns if over[name] == at]
        lines += [f"Over {', '.join(at)}:\n", _listed(within) + "\n"]
    return "\n".join([*lines, *([_listed(own.items()) + "\n"] if own and not over else [])])


def _inside(name: str, columns: Any, told: set[str]) -> str:
    """The names inside an object in brackets, the same names once only."""
    inside = [n for n, _ in columns if n.rpartition(".")[0] == name]
    text = ", ".join(f"`{n.rpartition('.')[2]}`{_inside(n, columns, told)}" for n in inside)
    again = text in told
    told.add(text)
    return f" ({text})" if text and not again else ""


def _folded(columns: Any) -> list[tuple[str, str]]:
    """The columns without the ends of intervals, which the name that they end tells."""
    names = {name for name, _ in columns}
    return [
        (name, meaning)
        for name, meaning in columns
        if not (end := re.search(r"(^|[_.])(low|high)(?=_|$)", name))
        or name.replace(end[0], "") not in names | {""}
    ]


def _listed(columns: Any) -> str:
    return "\n".join(f"* `{name}`: {meaning}" for name, meaning in columns)


def python_page() -> str:
    """Every verb with the example of its docstring, in the order of the work."""
    parts = [
        _WRITTEN,
        "# Python, task by task\n",
        "`import rramsim as rs` gives these verbs; `help(rs.sweep)` and the API have arguments, "
        "shapes, units and errors.\n",
    ]
    known: dict[str, str] = {}
    for task, module in TASKS.items():
        verbs, lines = [], []
        for name in sorted(module.__all__, key=lambda each: _line(getattr(module, each))):
            text = inspect.getdoc(getattr(module, name)) or ""
            examples = doctest.DocTestParser().get_examples(text)
            if examples and hasattr(rramsim, name):
                verbs.append((f"rs.{name}", text.split("\n")[0]))
                lines += [line for one in examples for line in _shown(one, known)]
        parts += [f"## {task}\n", _listed(verbs) + "\n"]
        parts.append("\n".join(["```pycon", *lines, "```\n"]))
    return "\n".join(parts)


def _line(value: Any) -> int:
    """Where a verb stands in its module."""
    return inspect.getsourcelines(value)[1] if inspect.isroutine(value) else 0


def _shown(example: doctest.Example, known: dict[str, str]) -> list[str]:
    """The lines of an example; none where the page has just given those names that value."""
    if example.source.startswith("import rramsim"):
        return []
    if names := re.match(r"([\w, ]+) = ", example.source):
        if known.get(names[1]) == example.source:
            return []
        changed = set(re.findall(r"\w+", names[1]))
        for others, source in list(known.items()):  # what was made of the old values is no more
            if changed & set(re.findall(r"\w+", source)):
                del known[others]
        known[names[1]] = example.source
    first, *rest = example.source.splitlines()
    return [f">>> {first}", *(f"... {line}" for line in rest), *example.want.splitlines()]


def _leaves(path: str, command: Any) -> list[tuple[str, Any]]:
    names = command.list_commands(None) if hasattr(command, "list_commands") else ()
    if not names:
        return [(path, command)]
    subs = [(name, command.get_command(None, name)) for name in names]
    return [leaf for name, sub in subs for leaf in _leaves(f"{path} {name}", sub)]


PAGES = {"python.md": python_page}
SITE_PAGES = {
    "reference/commands.md": commands_page,
    "reference/keys.md": keys_page,
    "reference/files.md": files_page,
}


def write_pages(pages: dict[str, Callable[[], str]], folder: Path = _FOLDER) -> None:
    """Write each page that has changed."""
    for name, page in pages.items():
        path, text = folder / name, page()
        path.parent.mkdir(exist_ok=True)
        if not path.is_file() or path.read_text() != text:
            path.write_text(text)


if __name__ == "__main__":
    write_pages(PAGES | SITE_PAGES)

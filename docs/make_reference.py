"""Write the reference pages from the code: commands, options, keys, stages, files, columns.

python docs/make_reference.py
"""

import re
import textwrap
from pathlib import Path
from typing import Any

import typer

from rramsim.cli.app import app
from rramsim.experiment import experiment_keys
from rramsim.stages import STAGES
from rramsim.stages.folder import EXPERIMENT, PROVENANCE

_FOLDER = Path(__file__).parent
_STAGES, _END = "<!-- stages -->\n", "<!-- end of stages -->\n"
_WRITTEN = "<!-- Written by docs/make_reference.py; do not edit. -->\n"


def commands_page() -> str:
    """Every command with its example, its arguments and options."""
    parts = [_WRITTEN, "# Commands\n"]
    parts.append(
        "`rramsim COMMAND --help` says it too. Every command also takes `--quiet` (`-q`: no "
        "progress on standard error) and `--verbose` (`-v`: what is decided, resumed and kept). "
        "Exit status 0: worked, 2: your input is at fault, 1: anything else. Completion of "
        "commands and options by the shell: `rramsim --install-completion`.\n"
    )
    for path, command in _leaves("rramsim", typer.main.get_command(app)):
        text = textwrap.dedent(command.help or "").strip()
        before, _, example = text.partition("Example: ")
        parts.append(f"## {path}\n\n{_listed(before.strip())}\n")
        if example:
            parts.append(f"```sh\n{' '.join(example.split())}\n```\n")
        rows = ["| | meaning | default |", "|---|---|---|"]
        for parameter in command.params:
            names = " ".join(f"`{name}`" for name in parameter.opts if name != "--help")
            if parameter.param_type_name == "argument":
                names = f"`{parameter.metavar or (parameter.name or '').upper()}`"
            if not names or parameter.name in ("quiet", "verbose"):
                continue
            meaning = " ".join((getattr(parameter, "help", None) or "").split()).replace("|", "\\|")
            default = parameter.default
            shown = "" if default in (None, False, ()) or callable(default) else f"`{default}`"
            rows.append(f"| {names} | {meaning} | {shown} |")
        if len(rows) > 2:
            parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def _listed(text: str) -> str:
    """Help text as Markdown: what click leaves as it is stands as a listing."""
    return re.sub(r"^\x08\n(.*?)(?=\n\n|\Z)", r"```text\n\1\n```", text, flags=re.S | re.M)


def keys_page() -> str:
    """Every key of an experiment with its default and meaning."""
    parts = [_WRITTEN, "# Keys of an experiment\n"]
    parts.append(
        "`rramsim init FILE` writes a file with all of them. Numbers may be written as SPICE "
        'writes them ("50n", "10k"); where a list may stand, it is an axis of the sweep.\n'
    )
    for section, meaning, keys in experiment_keys():
        parts.append(f"## [{section}]\n\n{meaning}\n")
        rows = ["| key | default | meaning |", "|---|---|---|"]
        for key, default, text in keys:
            shown = f"`{default}`" if default else ""
            rows.append(f"| `{key}` | {shown} | {text.replace('|', chr(92) + '|')} |")
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def files_page() -> str:
    """Every file of a run's folder, by the stage that makes it, with its columns."""
    parts = [_WRITTEN, "# Files of a run\n"]
    parts.append(
        "What `rramsim run` leaves in its folder. Tables are CSV, labelled arrays netCDF, the rest "
        "JSON; lines of `.jsonl` are how an interrupted run goes on. In an empty field there is no "
        "value. Ends `_low` and `_high` are those of a 95 % interval; units stand at the end of a "
        "name, in SI.\n"
    )
    for stage in STAGES:
        parts.append(f"## {stage.name}\n\n{stage.answers}\n")
        for file in stage.files:
            parts.append(f"### {file.name}\n\n{file.holds.capitalize()} (`{file.schema}`).\n")
            rows = [f"| `{name}` | {meaning} |" for name, meaning in file.columns()]
            if rows:
                parts.append("\n".join(["| | |", "|---|---|", *rows]) + "\n")
    parts.append("## Of the folder\n")
    for file in (EXPERIMENT, PROVENANCE):
        parts.append(f"### {file.name}\n\n{file.holds.capitalize()} (`{file.schema}`).\n")
    return "\n".join(parts)


def stages_table() -> str:
    """The stages in their order: what they answer, read and write."""
    rows = ["| stage | answers | reads | writes |", "|---|---|---|---|"]
    for stage in STAGES:
        needs = [f"`{file.name}`" for file in stage.needs] + ["images"] * stage.images
        files = ", ".join(f"`{file.name}`" for file in stage.files)
        name = stage.name if stage.of_run else f"{stage.name} \\*"
        reads = ", ".join(["the experiment", *needs])
        rows.append(f"| {name} | {stage.answers} | {reads} | {files} |")
    return "\n".join([*rows, "", "\\* with `--stage` only\n"])


def architecture_page() -> str:
    """The page as it is, with the stages' table between its marks made anew."""
    before, _, rest = (_FOLDER / "architecture.md").read_text().partition(_STAGES)
    return f"{before}{_STAGES}\n{stages_table()}{_END}{rest.partition(_END)[2]}"


def _leaves(path: str, command: Any) -> list[tuple[str, Any]]:
    names = command.list_commands(None) if hasattr(command, "list_commands") else ()
    if not names:
        return [(path, command)]
    subs = [(name, command.get_command(None, name)) for name in names]
    return [leaf for name, sub in subs for leaf in _leaves(f"{path} {name}", sub)]


PAGES = {
    "commands.md": commands_page,
    "keys.md": keys_page,
    "files.md": files_page,
    "architecture.md": architecture_page,
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (_FOLDER / name).write_text(page())

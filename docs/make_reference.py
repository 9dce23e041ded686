"""Write docs/commands.md and docs/keys.md from the code: every command, option and key.

python docs/make_reference.py
"""

import textwrap
from pathlib import Path

import click
import typer

from rramsim.cli.app import app
from rramsim.experiment import experiment_keys

_FOLDER = Path(__file__).parent
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
        text = textwrap.dedent(command.help or "").replace("\b", "").strip()
        before, _, example = text.partition("Example: ")
        parts.append(f"## {path}\n\n{before.strip()}\n")
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


def _leaves(path: str, command: click.Command) -> list[tuple[str, click.Command]]:
    subcommands = getattr(command, "commands", None)
    if not subcommands:
        return [(path, command)]
    return [leaf for name, sub in subcommands.items() for leaf in _leaves(f"{path} {name}", sub)]


PAGES = {"commands.md": commands_page, "keys.md": keys_page}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (_FOLDER / name).write_text(page())

"""An experiment file with every key: its default, unit and meaning, out of the sections."""

import json
import math
import textwrap
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from rramsim.experiment.experiment import Experiment
from rramsim.experiment.ineffective_keys import acts, needs
from rramsim.experiment.values import ListOf, Section
from rramsim.numbers import Interval

_UNITS = {
    "v": "V", "s": "s", "f": "F", "ohm": "ohm", "c": "°C", "ln": "of ln R", "um": "um",
}  # fmt: skip
_WIDTH = 100
_HEAD = """\
# An experiment of rramsim, with every key at its default. What is left out keeps its default.
#
#   rramsim run THIS.toml --out runs/mine
#
# In brackets: the unit, the limits, the words that may stand, and "list" where a list may stand,
# whose values are an axis of the sweep. Numbers may be written as SPICE writes them: "50n", "10k".
# A line that begins with "# key =" has no default, or does nothing beside the others.
"""


def experiment_template() -> str:
    """The text of an experiment file that says what it says by default, every key explained.

    Sections that are off by default ([chips], [tolerance]) are commented out, and so is every key
    that does nothing beside the others' defaults, such as all of [equilibrium].

    >>> print(experiment_template().split("[test]")[1].splitlines()[2])
    draws = 3
    """
    parts = [_HEAD]
    for name, info in Experiment.model_fields.items():
        section = _section_of(info)
        if section is None:
            continue
        off = info.default is None
        active = {key for key in section.model_fields if not off and acts(Experiment(), name, key)}
        default = section() if off else info.default
        parts.append(_section(name, section, default, active))
    return "\n".join(parts)


def experiment_keys() -> list[tuple[str, str, list[tuple[str, str, str]]]]:
    """Every section with its meaning and its keys: (name, default as written, meaning)."""
    found = []
    for name, info in Experiment.model_fields.items():
        section = _section_of(info)
        if section is None:
            continue
        keys = []
        for key, field in section.model_fields.items():
            default = field.get_default(call_default_factory=True)
            shown = "" if field.is_required() or default in (None, []) else _toml(default)
            keys.append((key, shown, _meaning(name, key, field)))
        title = " ".join((section.__doc__ or "").split()).removeprefix(f"[{name}]: ")
        found.append((name, title[:1].upper() + title[1:], keys))
    return found


def _section_of(info: FieldInfo) -> type[Section] | None:
    for kind in (info.annotation, *get_args(info.annotation)):
        if isinstance(kind, type) and issubclass(kind, Section):
            return kind
    return None


def _section(name: str, section: type[Section], default: Section, active: set[str]) -> str:
    title = " ".join((section.__doc__ or "").split("\n\n")[0].split())
    title = title.removeprefix(f"[{name}]: ").replace("`", "'")
    off = "" if any(getattr(default, key) not in (None, []) for key in active) else "# "
    lines = [*_comment(title[:1].upper() + title[1:]), f"{off}[{name}]"]
    for key, info in section.model_fields.items():
        value = getattr(default, key)
        lines += _comment(_meaning(name, key, info))
        if value is None:
            lines.append(f"# {key} = {_placeholder(info)}")
        elif key not in active or value == []:
            shown = [_example(info)] if value == [] else value
            lines.append(f"# {key} = {_toml(shown)}")
        else:
            lines.append(f"{key} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, _WIDTH - 2)]


def _meaning(section: str, key: str, info: FieldInfo) -> str:
    unit = _UNITS.get(key.rsplit("_", 1)[-1]) if "_" in key else None
    notes = [unit] if unit else []
    notes += _limits(info)
    if choices := _choices(info.annotation):
        notes.append(", ".join(choices))
    if _is_axis(info):
        notes.append("list")
    if with_what := needs(section, key):
        notes.append(f"needs {with_what}")
    told = f" ({'; '.join(notes)})" if notes else ""
    return f"{info.description}{told}"


def _limits(info: FieldInfo) -> list[str]:
    """What numbers a key may take: as its owner says, or as stands beside it."""
    if isinstance(info.json_schema_extra, dict):
        return [str(info.json_schema_extra["limits"])]
    ends = {}
    for mark in (*info.metadata, *get_args(info.annotation)[1:]):
        for kind in ("ge", "gt", "le", "lt"):
            if isinstance(end := getattr(mark, kind, None), int | float):
                ends[kind] = end
    if not ends:
        return []
    low, high = ends.get("ge", ends.get("gt", -math.inf)), ends.get("le", ends.get("lt", math.inf))
    return [str(Interval(low=low, high=high, above="gt" in ends, below="lt" in ends))]


def _choices(annotation: Any) -> list[str]:
    """The words that a key may take."""
    if get_origin(annotation) is Literal:
        return [str(choice) for choice in get_args(annotation)]
    return [choice for part in get_args(annotation) for choice in _choices(part)]


def _is_axis(info: FieldInfo) -> bool:
    """Whether one value may stand for a list: the field is a `ListOf`."""
    marks = get_args(ListOf[int])[1:]

    def holds(annotation: Any, metadata: list[Any]) -> bool:
        found = [*metadata, *get_args(annotation)[1:]]
        if any(mark in found for mark in marks if callable(getattr(mark, "func", None))):
            return True
        return any(holds(part, []) for part in get_args(annotation))

    return holds(info.annotation, list(info.metadata))


def _placeholder(info: FieldInfo) -> str:
    if info.examples:
        return _toml(info.examples[0])
    kinds = _kinds(info.annotation)
    if bool in kinds:
        return "true"
    if str in kinds or get_origin(kinds[0]) is Literal:
        choices = _choices(info.annotation)
        return _toml(choices[0] if choices else "...")
    return "[...]" if get_origin(kinds[0]) is list else "..."


def _kinds(annotation: Any) -> list[Any]:
    """The alternatives of an annotation, without None."""
    if get_origin(annotation) in (Union, UnionType):
        return [k for part in get_args(annotation) for k in _kinds(part) if k is not NoneType]
    if hasattr(annotation, "__metadata__"):
        return _kinds(get_args(annotation)[0])
    return [annotation]


def _example(info: FieldInfo) -> Any:
    """An entry of a list: a word, or a table with words for its values."""
    (model,) = get_args(info.annotation)
    if not issubclass(model, BaseModel):
        return info.examples[0] if info.examples else "..."
    return {
        key: (_choices(field.annotation) or ["..."])[0] for key, field in model.model_fields.items()
    }


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        inside = ", ".join(f"{key} = {_toml(v)}" for key, v in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list | tuple):
        # One value reads better than a list of one.
        if len(value) == 1 and isinstance(value, list) and not isinstance(value[0], dict | str):
            return _toml(value[0])
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return repr(value)

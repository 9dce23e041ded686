"""A table of a page."""

from dataclasses import dataclass

__all__ = ["Table"]


@dataclass(frozen=True, kw_only=True)
class Table:
    """Texts in rows under a header; `numeric` columns (by index) are set to the right."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[int, ...] = ()
    folded: bool = False

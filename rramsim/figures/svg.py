"""SVG elements as a tree, so that every text is escaped; and the strings made of them."""

from xml.etree import ElementTree

__all__ = ["Element", "add", "path_data", "root", "text", "to_string"]

Element = ElementTree.Element


def root(width: float, height: float, *, label: str, kind: str) -> Element:
    """An `<svg>` that scales to its container; `label` is what a screen reader says."""
    return Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {width:g} {height:g}",
            "class": f"figure {kind}",
            "role": "group",
            "aria-label": label,
        },
    )


def add(parent: Element, tag: str, **attributes: object) -> Element:
    """A child with attributes; floats are rounded to what a screen can show.

    A trailing underscore is dropped and an inner one written as a hyphen, so that names that are
    Python's own can be given: `class_`, `data_tip`.
    """
    named = {
        key.rstrip("_").replace("_", "-"): f"{value:.2f}".rstrip("0").rstrip(".")
        if isinstance(value, float)
        else str(value)
        for key, value in attributes.items()
        if value is not None
    }
    return ElementTree.SubElement(parent, tag, named)


def text(parent: Element, x: float, y: float, content: str, **attributes: object) -> Element:
    """A `<text>` at a place; `anchor` is start, middle or end."""
    anchor = attributes.pop("anchor", None)
    made = add(parent, "text", x=float(x), y=float(y), text_anchor=anchor, **attributes)
    made.text = content
    return made


def path_data(points: list[tuple[float, float]]) -> str:
    """The `d` of a polyline.

    >>> path_data([(0, 1), (2.26, 3)])
    'M0 1L2.3 3'
    """
    return "M" + "L".join(f"{round(x, 1):g} {round(y, 1):g}" for x, y in points)


def to_string(element: Element) -> str:
    """The element as text for an HTML page."""
    return ElementTree.tostring(element, encoding="unicode")

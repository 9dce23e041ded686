"""Whether a circuit is its own mirror image when BL and BLB, Q and QB change places.

Found from the elements, their sizes and what they are connected to: nodes are distinguished by what
is connected to them, that by the nodes around it, and so on; then the image is checked element
by element.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping

from rramsim.circuits.conditions import SenseConditions
from rramsim.circuits.sense import SenseCircuit
from rramsim.spice import Element

_SWAPPED = {"q": "qb", "qb": "q", "bl": "blb", "blb": "bl"}


def mirrored_transistors(
    circuit: SenseCircuit, conditions: SenseConditions, *, exact: bool = True
) -> dict[str, str] | None:
    """The transistor that each becomes in the mirror, by name; None if the circuit has no mirror.

    Where not `exact`, capacitors (an extraction's parasitics are never alike) and sizes are left
    out of the comparison: what the sides differ by is then for the caller to measure.

    >>> from rramsim.circuits import sense_circuit
    >>> from rramsim.processes import load_process
    >>> pcsa = sense_circuit(process=load_process("sky130-5v"))
    >>> mirrored_transistors(pcsa, SenseConditions(vdd_v=1.2))["xpcsa.mn1"]
    'xpcsa.mn2'
    """
    elements = circuit.elaborated(conditions).elements
    devices = circuit.devices
    known = {e.name: _what(e, e.name in devices) for e in elements}
    if not exact:
        elements = tuple(e for e in elements if e.kind != "c")
        known = {e.name: e.card.kind if e.card else known[e.name] for e in elements}
    nodes = {n for e in elements for n in e.nodes}
    fixed = {n for n in nodes if "." not in n}
    here: dict[str, object] = {n: f"={n}" if n in fixed else "" for n in nodes}
    there: dict[str, object] = {n: f"={_SWAPPED.get(n, n)}" if n in fixed else "" for n in nodes}
    for _ in range(len(nodes)):
        finer = _refined(here, elements, known), _refined(there, elements, known)
        if len(set(finer[0].values())) == len(set(here.values())):
            break
        here, there = finer
    places: dict[object, list[str]] = defaultdict(list)
    for node in sorted(nodes):
        places[there[node]].append(node)
    image = {}
    for node in sorted(nodes):
        if not places[here[node]]:
            return None
        image[node] = places[here[node]].pop(0)
    waiting: dict[object, list[str]] = defaultdict(list)
    for element in elements:
        waiting[_key(element, known, {n: n for n in nodes})].append(element.name)
    found = {}
    for element in elements:
        same = waiting[_key(element, known, image)]
        if not same:
            return None
        found[element.name] = same.pop(0)
    return {t.name: found[t.name] for t in circuit.transistors}


def _what(element: Element, is_device: bool) -> object:
    """What an element is, but for its name and where it hangs."""
    if is_device:
        return "device"
    card = (element.card.kind, element.card.values) if element.card else None
    value = 0.0 if element.kind in "mdvi" else element.value
    return element.kind, value, element.wave, card, tuple(sorted(element.parameters))


def _ends(element: Element) -> list[tuple[str, int]]:
    """Its nodes with what each is to it: drain and source are alike, and so are R's and C's."""
    roles = {"m": (0, 1, 0, 3), "r": (0, 0), "c": (0, 0), "l": (0, 0)}
    return list(zip(element.nodes, roles.get(element.kind, range(len(element.nodes))), strict=True))


def _key(element: Element, known: Mapping[str, object], image: Mapping[str, str]) -> object:
    ends = sorted((role, image[node]) for node, role in _ends(element))
    return known[element.name], tuple(ends)


def _refined(
    colours: Mapping[str, object], elements: tuple[Element, ...], known: Mapping[str, object]
) -> dict[str, object]:
    """Colours of nodes by what is connected to them, too."""
    seen: dict[str, list[int]] = defaultdict(list)
    for element in elements:
        around = Counter((role, colours[node]) for node, role in _ends(element))
        for node, role in _ends(element):
            seen[node].append(hash((known[element.name], role, frozenset(around.items()))))
    return {node: hash((colours[node], tuple(sorted(seen[node])))) for node in colours}

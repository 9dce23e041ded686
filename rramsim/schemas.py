"""Names of file formats with their versions, "rramsim errors 1", and what a reader makes of them.

A version goes up when an older rramsim would misread the file. A file without the name is one
that rramsim wrote before that kind of file had it; it is read as version 1.
"""

from rramsim.exceptions import InputError

__all__ = ["FILE_SCHEMAS", "check_schema"]

FILE_SCHEMAS = {
    "experiment.json": "rramsim experiment 1",
    "senses.jsonl": "rramsim senses 1",
    "sense.nc": "rramsim sense 1",
    "certification.json": "rramsim certification 1",
    "errors.json": "rramsim errors 1",
    "shares.jsonl": "rramsim senses 1",
    "shares.json": "rramsim shares 1",
    "boundary.csv": "rramsim boundary 1",
    "ber_map.jsonl": "rramsim rates 1",
    "ber_map.csv": "rramsim rates 1",
    "training.csv": "rramsim training 1",
    "wear.csv": "rramsim wear 1",
    "evaluations.jsonl": "rramsim evaluations 1",
    "tradeoff.csv": "rramsim tradeoff 1",
    "costs.csv": "rramsim costs 1",
    "tolerance.csv": "rramsim tolerance 1",
    "tolerated_rates.csv": "rramsim tolerated rates 1",
    "chips.jsonl": "rramsim tested chips 1",
    "chips.csv": "rramsim chips 1",
    "chips.json": "rramsim chips 1",
    "nominal.nc": "rramsim nominal 1",
    "provenance.json": "rramsim provenance 1",
}
"""The format of each file of a run's folder. Those that cannot hold the name themselves (tables and
rows) have it in `provenance.json`, under `schemas`."""


def check_schema(found: object, wanted: str, where: object) -> None:
    """Pass a file whose schema is `wanted`, an older version of it, or not named.

    Raises `InputError`, beginning with `where`, for another kind of file or a newer version.

    >>> check_schema("rramsim errors 1", "rramsim errors 2", "errors.json")
    >>> check_schema("rramsim errors 2", "rramsim errors 1", "errors.json")
    Traceback (most recent call last):
    rramsim.exceptions.InputError: errors.json: written by a newer rramsim (schema 'rramsim errors \
2', this one reads 'rramsim errors 1'); update rramsim, or make the file again
    """
    if found is None:
        return
    kind, _, number = wanted.rpartition(" ")
    name, _, version = found.rpartition(" ") if isinstance(found, str) else ("", "", "")
    if name != kind or not (version.isascii() and version.isdigit()):
        raise InputError(f"{where}: its schema is {found!r}, must be {wanted!r}")
    if int(version) > int(number):
        raise InputError(
            f"{where}: written by a newer rramsim (schema {found!r}, this one reads {wanted!r}); "
            "update rramsim, or make the file again"
        )

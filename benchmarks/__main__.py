"""`python -m benchmarks NAME [options]` runs benchmarks/NAME.py."""

import importlib
import sys
from pathlib import Path


def main(argv: list[str]) -> int:
    """Run the benchmark that the first argument names with the rest of the arguments."""
    names = sorted(p.stem for p in Path(__file__).parent.glob("*.py") if not p.stem.startswith("_"))
    if not argv or argv[0] not in names:
        print(f"usage: python -m benchmarks {{{','.join(names)}}} [--json]", file=sys.stderr)
        return 2
    return int(importlib.import_module(f"benchmarks.{argv[0]}").main(argv[1:]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

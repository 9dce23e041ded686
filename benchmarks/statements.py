"""Statements of each package of rramsim, docstrings left out, with the longest files.

python -m benchmarks statements [--out FILE.csv]
"""

import argparse
import ast
from collections import Counter
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[1] / "rramsim"


def counted(root: Path) -> pd.DataFrame:
    """Files, statements and the longest file's lines of each package of `root`."""
    files: Counter[str] = Counter()
    statements: Counter[str] = Counter()
    longest: Counter[str] = Counter()
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).parts
        package = parts[0] if len(parts) > 1 else "(top)"
        text = path.read_text(encoding="utf-8")
        files[package] += 1
        statements[package] += sum(_counts(node) for node in ast.walk(ast.parse(text)))
        longest[package] = max(longest[package], len(text.splitlines()))
    table = pd.DataFrame({"files": files, "statements": statements, "longest_file_lines": longest})
    return table.rename_axis("package").sort_index()


def _counts(node: ast.AST) -> bool:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return not isinstance(node.value.value, str)
    return isinstance(node, ast.stmt)


def main(argv: list[str]) -> int:
    """Print the table, or write it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks statements", description=__doc__)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(argv)
    table = counted(ROOT)
    print(table.to_string())
    print(f"all: {table.files.sum()} files, {table.statements.sum()} statements")
    if options.out:
        table.to_csv(options.out)
    return 0

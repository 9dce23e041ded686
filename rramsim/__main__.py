"""`python -m rramsim`: the program, where its script is not on the path."""

from rramsim.cli import main

main()

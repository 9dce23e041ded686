"""The program run in this process."""

from collections.abc import Callable

import pytest

from rramsim.cli import app as program


@pytest.fixture
def rramsim(monkeypatch, capsys) -> Callable[..., tuple[int, str, str]]:
    """Run the program; returns (exit status, standard output, standard error)."""

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["rramsim", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            program.main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return end.value.code, captured.out, captured.err

    return run

"""`rramsim explore` in a process of its own."""

import os
import re
import signal
import subprocess
import sys


class Program:
    """`rramsim explore` in a process of its own."""

    def __init__(self, *arguments: object) -> None:
        code = "from rramsim.cli import main; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, "explore", "--no-browser", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()

    @property
    def port(self) -> int:
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/", self.address)
        assert found, self.process.communicate()
        return int(found[1])

    def interrupt(self) -> tuple[int, str]:
        """End it as Ctrl-C does; returns (exit status, standard error)."""
        self.process.send_signal(signal.SIGINT)
        _, said = self.process.communicate(timeout=20)
        return self.process.returncode, said

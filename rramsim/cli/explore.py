"""`rramsim explore`: a local page with sliders."""

import webbrowser
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Annotated

import typer

from rramsim.cli.options import parse_quantity, say


def explore(
    path: Annotated[
        Path,
        typer.Argument(metavar="DIR|EXPERIMENT.toml", help="A run's folder, or an experiment."),
    ],
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on this machine; 0 for any free one.")
    ] = 8642,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")
    ] = True,
    temperature: Annotated[
        list[str] | None,
        typer.Option(help="Offer this temperature (degrees Celsius); may be repeated."),
    ] = None,
    corner: Annotated[
        list[str] | None, typer.Option(help="Offer this process corner; may be repeated.")
    ] = None,
) -> None:
    """Explore error rates, waveforms, energy and accuracy with sliders, in a local page.

    The batch engine answers at once. Tables of the transistors at each temperature and corner are
    made first, some seconds each, and kept. Only this machine can reach the page; Ctrl-C ends it.

    Example: rramsim explore runs/demo
    """
    from rramsim.cli.progress import console, progress_bar
    from rramsim.explore import load_subject
    from rramsim.explore.server import LOOPBACK, loopback_socket, serve

    subject = load_subject(
        path,
        temperatures_c=tuple(parse_quantity("--temperature", t) for t in temperature or ()),
        corners=tuple(corner or ()),
    )
    with loopback_socket(port) as listening:
        with progress_bar("tables", unit="conditions") as update:
            subject.explorer.prepare(report=lambda done, total: update(done, total, ""))
        address = f"http://{LOOPBACK}:{listening.getsockname()[1]}/"
        # An interrupt is how this command ends.
        with suppress(KeyboardInterrupt):
            console.print("the explorer answers, on this machine alone; Ctrl-C ends it:")
            say(address)
            if browser:
                # In a thread: a browser of the terminal would keep the page from being served.
                Thread(target=webbrowser.open, args=(address,), daemon=True).start()
            serve(subject, listening)

"""`rramsim report`: the results of a folder on a page."""

from typing import Annotated

import typer

from rramsim.cli.options import FolderArgument, JsonOption, print_json, say


def report(
    folder: FolderArgument,
    max_loss: Annotated[
        float | None,
        typer.Option(help="Loss of accuracy that the answer is for, in points (%); left out: 0.5."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Write DIR/report.html: the answer, figures and provenance of DIR, readable offline.

    What is not in DIR is named with the command that makes it.

    Example: rramsim report runs/demo --max-loss 0.3
    """
    from rramsim.cli.progress import console
    from rramsim.costs import SupplyTarget
    from rramsim.stages import RunFolder, write_report

    target = SupplyTarget() if max_loss is None else SupplyTarget(max_loss=max_loss / 100)
    where = RunFolder.existing(folder)
    with console.status("report") as status:
        written = write_report(
            where, target=target, report=lambda doing: status.update(f"report: {doing}")
        )
    if json:
        print_json(
            {
                "report": str(written.path),
                "bytes": written.path.stat().st_size,
                "present": list(written.present),
                "missing": list(written.missing),
            }
        )
    else:
        say(f"the report is {written.path}; open it in a browser; next: rramsim explore {folder}")

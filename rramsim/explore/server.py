"""The explorer's pages over HTTP, for this machine alone.

Three fixed texts and two computed answers; no path is ever looked up in a file system. A request
must name this machine as its host, so that a web page elsewhere cannot reach the explorer through a
name of its own (DNS rebinding), and pages of other sites may neither ask nor read.
"""

import errno
import socket
from collections.abc import Callable, Mapping

import uvicorn
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from rramsim.circuits import SenseConditions
from rramsim.exceptions import InputError, MachineError
from rramsim.explore.controls import Setting
from rramsim.explore.explorer import MOST_SENSES, STEP_SENSES, Subject
from rramsim.explore.presentation import answer_html, frame_html, rates_html
from rramsim.figures import explorer_assets

LOOPBACK = "127.0.0.1"

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class _Question(BaseModel):
    """The query of an answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vdd_v: float
    temperature_c: float
    corner: str = Field(max_length=8)
    window_s: float
    hrs_median_ohm: float
    written: int = Field(ge=-1, le=1)
    senses: int = Field(default=STEP_SENSES, ge=STEP_SENSES, le=MOST_SENSES)

    def setting(self) -> Setting:
        return Setting(
            conditions=SenseConditions(
                vdd_v=self.vdd_v,
                temperature_c=self.temperature_c,
                corner=self.corner,
                window_s=self.window_s,
            ),
            hrs_median_ohm=self.hrs_median_ohm,
        )


def explorer_app(subject: Subject) -> Starlette:
    """The application; its explorer is to be prepared before it is asked."""
    frame = frame_html(subject)

    def page(request: Request) -> Response:
        return HTMLResponse(frame, headers=_HEADERS)

    def answered(request: Request, make: Callable[[_Question], str]) -> Response:
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return _refused("answers are for the explorer's own page", 403)
        items = request.query_params.multi_items()
        if len(dict(items)) != len(items):
            return _refused("a parameter is given twice", 422)
        try:
            found = make(_Question.model_validate(dict(items)))
        except ValidationError as error:
            first = error.errors()[0]
            return _refused(f"{'.'.join(map(str, first['loc']))}: {first['msg']}", 422)
        except InputError as error:
            return _refused(str(error), 422)
        return HTMLResponse(found, headers=_HEADERS)

    def answer(request: Request) -> Response:
        def make(question: _Question) -> str:
            found = subject.explorer.answer(
                question.setting(), written=question.written, senses=question.senses
            )
            return answer_html(found, subject)

        return answered(request, make)

    def rates(request: Request) -> Response:
        def make(question: _Question) -> str:
            setting = question.setting()
            return rates_html(setting, subject.rates(setting))

        return answered(request, make)

    assets = [
        Route(f"/{name}", _text(text, media_type)) for name, (media_type, text) in
        explorer_assets().items()
    ]  # fmt: skip
    return Starlette(
        routes=[Route("/", page), Route("/answer", answer), Route("/rates", rates), *assets],
        middleware=[
            Middleware(
                TrustedHostMiddleware, allowed_hosts=[LOOPBACK, "localhost"], www_redirect=False
            )
        ],
    )


def _text(content: str, media_type: str) -> Callable[[Request], Response]:
    def respond(request: Request) -> Response:
        return Response(content, media_type=media_type, headers=_HEADERS)

    return respond


def _refused(line: str, status: int, headers: Mapping[str, str] = _HEADERS) -> Response:
    return PlainTextResponse(" ".join(line.split()), status_code=status, headers=dict(headers))


def loopback_socket(port: int) -> socket.socket:
    """A listening socket of this machine alone; port 0 takes any free one.

    Raises `MachineError` of one line if the port is taken or may not be used.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((LOOPBACK, port))
        listening.listen()
    except OSError as error:
        listening.close()
        why = (
            "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        )
        raise MachineError(f"port {port} {why}; choose another with --port") from error
    return listening


def serve(subject: Subject, listening: socket.socket) -> None:
    """Answer on a socket until an interrupt, which is raised once everything is closed."""
    server = uvicorn.Server(
        uvicorn.Config(
            explorer_app(subject),
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
    )
    server.run(sockets=[listening])

"""The page over HTTP: what it answers, whom it answers, what it refuses, and how it ends."""

import http.client
import re
import socket
import sys
from urllib.parse import urlencode

import pytest
from explorer_program import Program
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rramsim.cli import main
from rramsim.exceptions import MachineError
from rramsim.explore.server import loopback_socket

GOOD = {
    "vdd_v": "1.2", "temperature_c": "27", "corner": "tt", "window_s": "5e-08",
    "hrs_median_ohm": "630000", "written": "1",
}  # fmt: skip


@pytest.fixture
def ask(program):
    def asked(path, *, method="GET", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", program.port, timeout=20)
        connection.putrequest(method, path, skip_host=True)
        for name, value in {"Host": f"127.0.0.1:{program.port}", **headers}.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        return response.status, body, response.headers

    return asked


def test_the_page_and_its_answer(ask):
    status, page, headers = ask("/")
    assert status == 200 and headers["Content-Type"].startswith("text/html")
    assert re.findall(r'(?:src|href)="([^"#]+)"', page) == ["data:,", "explorer.css", "explorer.js"]
    assert "https://" not in page and "http://" not in page
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert headers["Cache-Control"] == "no-store" and "server" not in headers
    status, answer, _ = ask(f"/answer?{urlencode(GOOD)}")
    assert status == 200 and 'data-senses="100"' in answer
    assert "One sense of a +1" in answer and "Reads +1, resolved in" in answer
    assert "Interpolated in tradeoff.csv" in answer
    again = ask(f"/answer?{urlencode(GOOD)}")[1]
    assert again == answer
    assert "of 2000" in ask(f"/answer?{urlencode(GOOD | {'senses': '1000'})}")[1]


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd", "/..%2f..%2f..%2fetc%2fpasswd", "/%2e%2e/%2e%2e/etc/passwd",
        "/%252e%252e%252fetc%252fpasswd", "//etc/passwd", "/explorer.css/../../../etc/passwd",
        "/explorer.js%00.html", "/..\\..\\etc\\passwd", "/templates/page.css", "/tradeoff.csv",
        "/explorer.html", "/experiment.json", "file:///etc/passwd",
    ],
)  # fmt: skip
def test_no_path_leads_to_a_file(ask, path):
    status, body, _ = ask(path)
    assert status in (400, 404) and "root:" not in body and len(body) < 100


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8642", "127.0.0.1.evil.example", "192.168.0.1", ""]
)
def test_another_host_name_is_refused(ask, host):
    for path in ("/", "/explorer.js", f"/answer?{urlencode(GOOD)}"):
        status, body, _ = ask(path, Host=host)
        assert status == 400 and "sense" not in body


def test_this_machines_names_are_not_refused(ask, program):
    assert ask("/", Host=f"localhost:{program.port}")[0] == 200


def test_other_sites_cannot_ask(ask):
    path = f"/answer?{urlencode(GOOD)}"
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200)):
        found, _, headers = ask(path, Sec_Fetch_Site=site)
        assert found == status and "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_nothing_can_be_sent(ask, method):
    assert ask("/", method=method)[0] == ask("/answer", method=method)[0] == 405


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vdd_v": "12"}, "vdd_v = 12: must lie between 0.8 and 1.4 V"),
        ({"vdd_v": "1.45"}, "vdd_v = 1.45: must lie between 0.8 and 1.4 V"),
        ({"vdd_v": "nan"}, "vdd_v = nan"),
        ({"vdd_v": "high"}, "vdd_v: Input should be a valid number"),
        ({"temperature_c": "28"}, "temperature_c = 28: must be one of 27, 60"),
        ({"corner": "best"}, "corner = 'best': must be one of"),
        ({"corner": "t" * 5000}, "corner: String should have at most 8 characters"),
        ({"corner": "<b>"}, "must be the name of a process corner"),
        ({"hrs_median_ohm": "-1"}, "hrs_median_ohm = -1: must lie between"),
        ({"hrs_median_ohm": "1e999"}, "hrs_median_ohm = inf: must lie between"),
        ({"written": "2"}, "written: Input should be less than or equal to 1"),
        ({"senses": "100000000"}, "senses: Input should be less than or equal to 1000"),
        ({"senses": "9" * 4000}, "senses: Input should be less than"),
        ({"senses": "150"}, "senses = 150: must be a multiple of 100 up to 1000"),
        ({"netlist": "/etc/passwd"}, "netlist: Extra inputs are not permitted"),
        ({"window_s": None}, "window_s: Field required"),
    ],
)
def test_a_wrong_parameter_is_one_line(ask, change, message):
    values = {name: value for name, value in (GOOD | change).items() if value is not None}
    status, body, headers = ask(f"/answer?{urlencode(values)}")
    assert status == 422 and message in body and "\n" not in body and len(body) < 300
    assert headers["Content-Type"].startswith("text/plain")


def test_a_parameter_that_stands_there_twice_is_refused(ask):
    status, body, _ = ask(f"/answer?{urlencode(GOOD)}&vdd_v=1.1")
    assert (status, body) == (422, "a parameter is given twice")


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from([*GOOD, "senses", "x"]),
        st.one_of(st.text(max_size=40), st.floats().map(repr), st.integers().map(str)),
        min_size=1,
    )
)
def test_whatever_is_asked_is_answered_or_refused(ask, change):
    status, body, _ = ask(f"/answer?{urlencode(GOOD | change)}")
    assert status in (200, 422) and (status == 200 or "\n" not in body)


def test_only_this_machine_is_listened_to(program):
    with socket.create_connection(("127.0.0.1", program.port)) as mine:
        assert mine.getpeername()[0] == "127.0.0.1"
    with loopback_socket(0) as listening:
        assert listening.getsockname()[0] == "127.0.0.1"
        with pytest.raises(MachineError, match=r"is in use; choose another with --port"):
            loopback_socket(listening.getsockname()[1])


def test_ctrl_c_ends_it_cleanly(folder):
    running = Program(folder, "--port", 0)
    browser = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
    browser.request("GET", "/")
    assert browser.getresponse().status == 200
    # The connection stays open, as a browser's does.
    status, said = running.interrupt()
    browser.close()
    assert status == 0 and said.splitlines()[-1].endswith("Ctrl-C ends it:"), said


@pytest.fixture
def refused(monkeypatch, capsys):
    """Run the program in this process; returns (exit status, standard error)."""

    def run(*arguments):
        monkeypatch.setattr(
            "sys.argv", ["rramsim", "explore", "--no-browser", *map(str, arguments)]
        )
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code, capsys.readouterr().err

    return run


def test_a_taken_port_is_one_line_and_exit_1(program, folder, refused):
    assert refused(folder, "--port", program.port) == (
        1, f"rramsim: port {program.port} is in use; choose another with --port\n"
    )  # fmt: skip


def test_without_its_extra_it_names_what_to_install(folder, refused, monkeypatch):
    monkeypatch.delitem(sys.modules, "rramsim.explore.server")
    monkeypatch.setitem(sys.modules, "starlette.applications", None)
    assert refused(folder) == (
        2, "rramsim: starlette is not installed: pip install starlette, or "
        "pip install '.[explore]' in rramsim's checkout\n"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("no/such",), "no/such: cannot read an experiment"),
        (("FOLDER", "--temperature", "warm"), "--temperature warm: must be a number"),
        (("FOLDER", "--temperature", "900"), "temperature_c = 900: must be between"),
        (("FOLDER", "--corner", "best"), "corner = 'best': process sky130-5v has"),
        (("FOLDER/..",), "experiment.json: not there"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(folder, refused, arguments, message):
    status, said = refused(*(a.replace("FOLDER", str(folder)) for a in arguments))
    assert status == 2 and message in said and said.count("\n") == 1

"""`evnt settings` and `evnt --help`."""

import ast
import json
import os
import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from cli.reference import kind
from shared.version import VERSION
from tests.cli.command import IN_FRONT, environment, evnt, evnt_to, invoke


def test_settings_in_force_are_printed_without_secrets(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/pipeline.yml").write_text("collector: {port: 1}\nlogging: {level: error}")
    done = evnt(tmp_path, "settings", EVNT_COLLECTOR__PORT="2", EVNT_INGEST__RABBITMQ__PASSWORD="hush")
    settings = json.loads(done.stdout)
    assert (settings["collector"]["port"], settings["logging"]["level"]) == (2, "error")
    assert settings["ingest"]["rabbitmq"]["password"] == "**********"
    assert "hush" not in done.stdout + done.stderr


def test_shape_of_the_output() -> None:
    assert invoke("settings", "--indent", "4").stdout.startswith('{\n    "data_dir": "var"')
    raw = invoke("settings", "--raw").stdout
    assert raw.startswith('{"data_dir":"var"')
    assert raw.count("\n") == 1
    dictionary = ast.literal_eval(invoke("settings", "to_dict").stdout)
    assert dictionary["collector"]["port"] == 8000
    assert dictionary["data_dir"] == "var"
    assert invoke("settings", "hostname").stdout.strip() == socket.gethostname()


def test_a_wrong_configuration_is_told_and_exits_78(tmp_path: Path) -> None:
    done = evnt(tmp_path, "settings", EVNT_COLLECTOR__PROT="1")
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.startswith("configuration: collector.prot: unknown option; did you mean collector.port?")


def test_a_broker_that_is_away_is_named_with_its_address(tmp_path: Path) -> None:
    broker = {"EVNT_INGEST__MODE": "rabbitmq", "EVNT_INGEST__RABBITMQ__PORT": "1"}
    done = evnt(tmp_path, "bad-rows", "list", **broker)
    assert done.returncode == 69
    assert "can't connect to 127.0.0.1:1: " in done.stderr


@pytest.mark.parametrize("line", [("version",), ("settings", "--indent", "16"), ("schema", "list"), ("--help",)])
def test_a_full_disk_behind_the_output_is_told_and_exits_74(tmp_path: Path, line: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = evnt_to(full, tmp_path, *line)
    assert (done.returncode, done.stderr) == (74, "the output can't be written: No space left on device\n")


def test_a_reader_that_went_away_is_no_traceback(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = evnt_to(writer, tmp_path, "version")
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_ctrl_c_while_the_commands_are_loaded_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("import time\nprint('loading', flush=True)\ntime.sleep(60)")
    with subprocess.Popen([*IN_FRONT, "version"], env=environment(), cwd=tmp_path, stdout=PIPE, stderr=PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"loading\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (-signal.SIGINT, b"")


def test_help_reads_well() -> None:
    text = invoke("--help").stdout
    assert all(name in text for name in ("bad-rows", "settings", "ready", "version"))
    assert invoke("version").stdout.strip() == VERSION


def test_processes_that_are_not_there_are_not_ready() -> None:
    done = invoke("ready", "loader", EVNT_LOADER__ADMIN__PORT="1")
    assert done.exit_code == 1
    assert done.stdout.startswith("loader: does not answer on 127.0.0.1:1 ")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\n\r\n<html>", "not ready: 127.0.0.1:{port} answers 404\n"),
        (b'HTTP/1.1 500 Oh\r\nContent-Length: 14\r\n\r\n{"checks": []}', "not ready: 127.0.0.1:{port} answers 500\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "not ready: another program answers on 127.0.0.1:{port}\n"),
        (
            b'HTTP/1.1 200 OK\r\nContent-Length: 23\r\n\r\n{"process": "collector"}',
            "not ready: another program answers on 127.0.0.1:{port}\n",
        ),
        (b"-ERR unknown command\r\n", "does not answer on 127.0.0.1:{port} (-ERR unknown command"),
    ],
)
def test_another_program_on_an_admin_port_is_not_ready(answer: bytes, words: str) -> None:
    def serve(listening: socket.socket) -> None:
        connection = listening.accept()[0]
        connection.recv(65536)
        connection.sendall(answer)
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as thread:
        port = listening.getsockname()[1]
        thread.submit(serve, listening)
        done = invoke("ready", "loader", EVNT_LOADER__ADMIN__PORT=str(port))
    assert done.exit_code == 1
    assert done.stdout.startswith(f"loader: {words.format(port=port)}")


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "whole number"),
        (str | None, "text or null"),
        (tuple[str, ...], "list of text"),
        (dict[str, int], "mapping of text to whole number"),
        (Path | None, "path or null"),
        (Any, "anything"),
    ],
)
def test_types_in_a_users_words(annotation: Any, words: str) -> None:
    assert kind(annotation) == words

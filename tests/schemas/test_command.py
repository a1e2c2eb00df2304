"""`evnt schema` as an operator runs it."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cli.schema import app
from cli.schema_lint import SELF_DESCRIBING
from tests.cli.command import environment, evnt

EXIT_MISCONFIGURED = 78


class Result(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


Schema = Callable[..., Result]


@pytest.fixture
def schema(library: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Schema:
    """`evnt schema …` in the folder of the library; in this process, since starting one costs a second."""
    monkeypatch.chdir(library)

    def run(*arguments: str) -> Result:
        with pytest.raises(SystemExit) as end:
            app(list(arguments), prog_name="evnt schema")
        return Result(int(end.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A folder with three versions of one schema."""
    for version in ("1-0-0", "1-0-1", "2-0-0"):
        file = tmp_path / "lib" / "schemas" / "com.acme" / "cart" / "jsonschema" / version
        file.parent.mkdir(parents=True, exist_ok=True)
        described = {"vendor": "com.acme", "name": "cart", "format": "jsonschema", "version": version}
        properties = {
            "id": {"type": "string", "maxLength": 9},
            "lines": {
                "type": "array",
                "items": {
                    "properties": {
                        "sku": {"type": ["string", "null"], "pattern": "^[a-z]+$", "description": "what was bought"}
                    }
                },
            },
        }
        document = {"$schema": SELF_DESCRIBING, "self": described, "type": "object", "properties": properties,
                    "required": ["id"], "additionalProperties": False}  # fmt: skip
        file.write_text(json.dumps(document))
    return tmp_path / "lib"


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def test_list_shows_the_versions_of_each_name_in_order(schema: Schema) -> None:
    assert schema("list", ".").stdout.splitlines()[1].split() == [
        "com.acme", "cart", "1-0-0", "1-0-1", "2-0-0",
    ]  # fmt: skip
    uris = [entry["uri"] for entry in lines(schema("list", "--vendor", "org.w3", "--json").stdout)]
    assert "iglu:org.w3/PerformanceTiming/jsonschema/1-0-0" in uris
    assert all(uri.startswith("iglu:org.w3/") for uri in uris)


def test_show_prints_the_newest_version_or_the_one_asked_for(schema: Schema) -> None:
    shown = schema("show", "com.acme/cart", "-f", ".").stdout
    assert shown.startswith("iglu:com.acme/cart/jsonschema/2-0-0\n")
    assert "lines[].sku" in shown
    assert "pattern ^[a-z]+$" in shown
    document = schema("show", "iglu:com.acme/cart/jsonschema/1-0-1", "-f", ".", "--json").stdout
    assert json.loads(document)["self"]["version"] == "1-0-1"
    assert schema("show", "com.acme/cart/jsonschema/9-0-0", "-f", ".").returncode == 1


def test_lint_exits_1_on_errors_and_on_warnings_only_when_strict(library: Path, schema: Schema) -> None:
    assert schema("lint", ".").returncode == 0
    file = library / "schemas" / "com.acme" / "cart" / "jsonschema" / "2-0-0"
    file.write_text(file.read_text().replace('"maxLength": 9', '"maxLength": 9, "colour": 1'))
    lax, strict = schema("lint", "."), schema("lint", ".", "--strict")
    assert (lax.returncode, strict.returncode) == (0, 1)
    assert lax.stderr == "3 schemas, 0 errors, 1 warnings\n"
    file.write_text("{")
    broken = schema("lint", ".", "--json")
    assert broken.returncode == 1
    assert [finding["level"] for finding in lines(broken.stdout)] == ["error"]


def test_validate_says_what_is_wrong_in_each_entity(library: Path, schema: Schema) -> None:
    entities = [
        {"schema": "iglu:com.acme/cart/jsonschema/1-0-0", "data": {"id": "a"}},
        {"schema": "iglu:com.acme/cart/jsonschema/1-0-0", "data": {"id": 1, "x": 2}},
        {"schema": "iglu:com.acme/wagon/jsonschema/1-0-0", "data": {}},
    ]
    contexts = {"schema": "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1", "data": entities}
    (library / "c.json").write_text(json.dumps(contexts, indent=1))
    result = schema("validate", "c.json", "-f", ".", "--json")
    assert result.returncode == 1
    verdicts = lines(result.stdout)
    assert [(verdict["place"], verdict["valid"]) for verdict in verdicts] == [
        ("$", True), ("$.data[0]", True), ("$.data[1]", False), ("$.data[2]", False),
    ]  # fmt: skip
    assert verdicts[2]["problems"][0] == "$.id: integer found, string expected"
    assert "not found" in verdicts[3]["problems"][0]


def test_a_line_that_is_no_json_is_told_and_the_others_are_judged(library: Path, schema: Schema) -> None:
    (library / "data.json").write_text('{"id": "a"}\n{"id":\n' + "[" * 5_000 + "\n{}\n")
    result = schema("validate", "data.json", "-f", ".", "--schema", "iglu:com.acme/cart/jsonschema/1-0-0", "--json")
    assert result.returncode == 1
    verdicts = lines(result.stdout)
    assert [(verdict["place"], verdict["valid"]) for verdict in verdicts] == [
        ("line 1", True), ("line 2", False), ("line 3", False), ("line 4", False),
    ]  # fmt: skip
    assert verdicts[1]["problems"][0].startswith("not JSON: ")


def test_a_file_that_is_there_but_broken_is_not_called_absent(library: Path, schema: Schema) -> None:
    (library / "schemas" / "com.acme" / "cart" / "jsonschema" / "2-0-0").write_text("{")
    said = schema("show", "com.acme/cart", "-f", ".").stderr
    assert said.startswith("iglu:com.acme/cart/jsonschema/2-0-0 can't be read: Could not decode")


def test_validate_takes_lines_from_standard_input_and_a_resolver(library: Path) -> None:
    config = {"repositories": [{"name": "lib", "connection": {"embedded": {"path": "schemas"}}}]}
    (library / "resolver.json").write_text(json.dumps(config))
    options = ["--schema", "iglu:com.acme/cart/jsonschema/2-0-0", "--resolver", "resolver.json"]
    line = [sys.executable, "-m", "cli", "schema", "validate", "-", *options]
    text = '{"id": "a"}\n\n{"id": "much too long"}\n'
    result = subprocess.run(
        line, input=text, env=environment(), cwd=library, capture_output=True, text=True, check=False, timeout=60
    )
    assert result.returncode == 1
    assert result.stdout.splitlines() == [
        "valid: line 1: iglu:com.acme/cart/jsonschema/2-0-0",
        "not valid: line 3: iglu:com.acme/cart/jsonschema/2-0-0",
        "  $.id: may only be 9 characters long",
    ]


def test_a_resolver_that_can_not_be_used_is_a_matter_of_configuration(library: Path) -> None:
    (library / "data.json").write_text("{}")
    result = evnt(library, "schema", "validate", "data.json", "--resolver", "nowhere.yml")
    assert result.returncode == EXIT_MISCONFIGURED
    assert result.stderr == "nowhere.yml: No such file or directory\n"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["validate", "nowhere.json"], 2, "nowhere.json"),
        (["validate", "data.json", "--schema", "com.acme/cart"], 2, "INVALID_IGLUURI"),
        (["validate", "data.json"], 1, ""),
        (["lint", "nowhere"], 2, "nowhere is not a folder"),
        (["show", "com.acme/wagon", "-f", "."], 2, "no version of com.acme/wagon"),
        (["infer", "data.json", "--name", "cart"], 2, "INVALID_IGLUURI"),
        (["infer", "data.json", "--name", "com.acme/cart"], 1, "nothing to infer"),
    ],
)
def test_a_wrong_command_says_what_is_wrong(
    library: Path, schema: Schema, arguments: list[str], code: int, message: str
) -> None:
    (library / "data.json").write_text("7")
    result = schema(*arguments)
    assert result.returncode == code
    assert message in result.stderr


def test_validate_needs_to_know_the_schema(library: Path, schema: Schema) -> None:
    (library / "data.json").write_text('{"id": "a"}')
    assert "not self-describing: name its schema with --schema" in schema("validate", "data.json").stdout


def test_infer_drafts_a_schema_that_lint_accepts(library: Path, schema: Schema) -> None:
    (library / "data.ndjson").write_text('{"id": "x\u2028", "n": 1}\r\n{"id": "y"}\n')
    draft = schema("infer", "data.ndjson", "--name", "com.acme/order").stdout
    file = library / "schemas" / "com.acme" / "order" / "jsonschema" / "1-0-0"
    file.parent.mkdir(parents=True)
    file.write_text(draft)
    assert schema("lint", ".", "--strict").returncode == 0

"""What an operator writes, and what the process makes of it or says about it."""

from pathlib import Path

import pytest
from pydantic import Field, SecretStr, model_validator

from shared.options import options
from shared.settings import RabbitmqSettings, Section, SettingsError, SharedSettings, load


class Thing(Section):
    port: int = 8000
    """Port."""
    key: SecretStr = SecretStr("k")
    """Key."""
    names: tuple[str, ...] = ()
    """Names."""
    rate: float = 1.0
    """Rate."""


class Special(Section):
    thing: Thing = Thing(port=9, names=("x",))
    other: str = "y"
    """Other."""


class Guarded(Section):
    port: int = 2
    """Port."""
    key: SecretStr | None = None
    """Key."""

    @model_validator(mode="after")
    def _has_port_2(self) -> "Guarded":
        if self.port != 2:
            raise ValueError("expected port 2")
        return self


class Table(Section):
    enabled: bool = True
    """Switch."""


class Tables(Section):
    tables: dict[str, Table] = Field(default_factory=dict)
    extra: Table | None = None


class Settings(SharedSettings):
    collector: Thing = Thing()
    clickhouse: Tables = Tables()
    loader: Special = Special()
    sentry: Guarded = Guarded()


def loaded(tmp_path: Path, text: str = "", **environ: str) -> Settings:
    file = tmp_path / "pipeline.yml"
    file.write_text(text)
    return load(Settings, file=file, environ=environ)


def problems(tmp_path: Path, text: str = "", **environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, text, **environ)
    return caught.value.problems


def test_defaults_hold_without_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(Settings, environ={}) == Settings()


def test_file_over_defaults_and_environment_over_file(tmp_path: Path) -> None:
    text = "collector: {port: 1, names: [a]}\ndata_dir: /srv/evnt\n"
    settings = loaded(tmp_path, text, EVNT_COLLECTOR__PORT="2", EVNT_INGEST__RABBITMQ__HOST="broker")
    assert settings.collector == Thing(port=2, names=("a",))
    assert settings.data_dir == Path("/srv/evnt")
    assert settings.ingest.rabbitmq.host == "broker"


def test_the_environment_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "other.yml"
    file.write_text("collector: {port: 7}")
    assert load(Settings, environ={"EVNT_CONFIG": str(file)}).collector.port == 7


def test_one_option_of_a_section_leaves_its_other_defaults_alone(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "loader: {thing: {names: [z]}}", EVNT_LOADER__THING__KEY="k2")
    assert settings.loader.thing == Thing(port=9, names=("z",), key=SecretStr("k2"))


@pytest.mark.parametrize("text", ["", "collector:\n", "collector: {}\n", "# nothing\n"])
def test_empty_sections_mean_defaults(tmp_path: Path, text: str) -> None:
    assert loaded(tmp_path, text) == Settings()


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({"EVNT_COLLECTOR__NAMES": '["a", "b"]'}, ("a", "b")),
        ({"EVNT_COLLECTOR__NAMES": "[a, b]"}, ("a", "b")),
        ({"EVNT_COLLECTOR": "{names: [a]}"}, ("a",)),
    ],
)
def test_lists_in_the_environment_are_yaml(tmp_path: Path, variables: dict[str, str], names: tuple[str, ...]) -> None:
    assert loaded(tmp_path, **variables).collector.names == names


def test_mappings_are_reached_by_name(tmp_path: Path) -> None:
    text = "clickhouse: {tables: {events: {}}}"
    settings = loaded(tmp_path, text, EVNT_CLICKHOUSE__TABLES__EVENTS__ENABLED="false")
    assert settings.clickhouse.tables == {"events": Table(enabled=False)}


def test_sections_of_other_processes_are_none_of_our_business(tmp_path: Path) -> None:
    assert loaded(tmp_path, "enricher: {anything: 1}", EVNT_PROXY__ANYTHING="1") == Settings()


def test_reserved_variables_are_no_options(tmp_path: Path) -> None:
    assert loaded(tmp_path, EVNT_VECTORS="x", EVNT_TRAFFIC="x", EVNT_TEST_RABBITMQ="x") == Settings()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("collector: {prot: 1}", "collector.prot: unknown option; did you mean collector.port?"),
        ("collectr: {port: 1}", "collectr: unknown section; did you mean collector?"),
        ("ingest: {host: x}", "ingest.host: unknown option; did you mean ingest.rabbitmq.host?"),
        ("logging: {zzz: x}", "logging.zzz: unknown option; valid here: level, json_format"),
        ("clickhouse: {tables: {a: {enable: 1}}}", "clickhouse.tables.a.enable: unknown option; did you mean"),
        ("clickhouse: {extra: {enable: 1}}", "clickhouse.extra.enable: unknown option; did you mean"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(tmp_path: Path, text: str, said: str) -> None:
    (problem,) = problems(tmp_path, text)
    assert problem.startswith(said)
    assert problem.endswith("pipeline.yml)")


def test_unknown_variables_are_refused_by_their_own_name(tmp_path: Path) -> None:
    assert problems(tmp_path, EVNT_COLLECTOR__PROT="1") == [
        "collector.prot: unknown option; did you mean collector.port? (set in EVNT_COLLECTOR__PROT)"
    ]
    (problem,) = problems(tmp_path, EVNT_LODER__BATCH="1")
    assert problem == "loder: unknown section; did you mean loader? (set in EVNT_LODER__BATCH)"


@pytest.mark.parametrize(
    ("text", "environ", "parts"),
    [
        ("collector: {port: high}", {}, ("collector.port: ", "valid integer", "found 'high'", "pipeline.yml")),
        ("", {"EVNT_COLLECTOR__PORT": "x"}, ("collector.port: ", "found 'x'", "set in EVNT_COLLECTOR__PORT")),
        ("", {"EVNT_INGEST__MODE": "kafka"}, ("ingest.mode: ", "'direct' or 'rabbitmq'", "EVNT_INGEST__MODE")),
        ("", {"EVNT_COLLECTOR": "[1"}, ("collector: ", "found '[1'", "set in EVNT_COLLECTOR")),
        ("", {"EVNT_COLLECTOR__NAMES": "x"}, ("collector.names: ", "expected a list", "EVNT_COLLECTOR__NAMES")),
        ("", {"EVNT_COLLECTOR__NAMES": "2024-13-45"}, ("collector.names: ", "expected a list", "found '2024-13-45'")),
        ("", {"EVNT_COLLECTOR__NAMES": "[a, 5]"}, ("collector.names.1: ", "found 5", "in EVNT_COLLECTOR__NAMES)")),
        ("collector: 5", {}, ("collector: expected options of its own below it, found 5",)),
        ("", {"EVNT_DATA_DIR": ""}, ("data_dir: expected a path, found ''", "EVNT_DATA_DIR")),
        ("", {"EVNT_INGEST__RABBITMQ__HOST": ""}, ("ingest.rabbitmq.host: ", "at least 1 character")),
        ("", {"EVNT_INGEST__RABBITMQ__HOST": "broker:5672"}, ("rabbitmq.host: ", "no port", "found 'broker:5672'")),
        ("", {"EVNT_INGEST__RABBITMQ__HOST": "amqp://broker"}, ("ingest.rabbitmq.host: ", "no scheme")),
        ("", {"EVNT_INGEST__RABBITMQ__HOST": "broker..local"}, ("ingest.rabbitmq.host: ", "a host's name")),
        ("", {"EVNT_INGEST__RABBITMQ__HOST": "x" * 64}, ("ingest.rabbitmq.host: ", "a host's name")),
        ("", {"EVNT_INGEST__RABBITMQ__HEARTBEAT_SECONDS": "65536"}, ("heartbeat_seconds: ", "equal to 65535")),
        (
            "",
            {"EVNT_INGEST__LIMITS__QUEUE_MAX_BYTES": "9" * 20},
            ("queue_max_bytes: ", f"at most {2**63 - 1}, found '999"),
        ),
        ("", {"EVNT_INGEST__LIMITS__DELIVERY_LIMIT": "9" * 20}, ("ingest.limits.delivery_limit: ", "at most")),
        ("", {"EVNT_COLLECTOR__RATE": "1e999"}, ("collector.rate: ", "at most")),
        ("", {"EVNT_COLLECTOR__RATE": "nan"}, ("collector.rate: ", "at most")),
        ("collector: {port: 1}\nlogging:\ncollector:", {}, ("pipeline.yml: ", "'collector' is there twice", "line 3")),
        ("[1]", {}, ("pipeline.yml: expected sections",)),
        ("a: [", {}, ("pipeline.yml: is not YAML",)),
    ],
)
def test_bad_values_are_refused_with_path_and_expectation(
    tmp_path: Path, text: str, environ: dict[str, str], parts: tuple[str, ...]
) -> None:
    (problem,) = problems(tmp_path, text, **environ)
    assert all(part in problem for part in parts), problem


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    assert len(problems(tmp_path, "collector: {prot: 1}", EVNT_INGEST__MODE="x", EVNT_X="1")) == 3


def test_a_secret_is_never_repeated(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "collector: {key: [hush]}")
    assert "hush" not in problem
    assert "hush" not in str(loaded(tmp_path, EVNT_COLLECTOR__KEY="hush"))
    (problem,) = problems(tmp_path, EVNT_SENTRY__KEY="hush", EVNT_SENTRY__PORT="1")
    assert problem.startswith("sentry: expected port 2 (set in ")


def test_a_variable_may_take_back_what_the_file_says(tmp_path: Path) -> None:
    text = "ingest: {rabbitmq: {tls_ca_file: ca.pem, username: me}}"
    broker = loaded(
        tmp_path, text, EVNT_INGEST__RABBITMQ__TLS_CA_FILE="null", EVNT_INGEST__RABBITMQ__USERNAME="null"
    ).ingest.rabbitmq
    assert (broker.tls_ca_file, broker.username) == (None, "null")


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere.yml: can't be read"):
        load(Settings, file=tmp_path / "nowhere.yml", environ={})
    with pytest.raises(SettingsError, match=r"can't be read: .* \(EVNT_CONFIG names it\)"):
        load(Settings, environ={"EVNT_CONFIG": ""})


def test_options_are_listed_with_variable_and_doc() -> None:
    found = {option.name: option for option in options(Settings)}
    assert found["collector.port"].variable == "EVNT_COLLECTOR__PORT"
    assert found["collector.port"].doc == "Port."
    assert found["collector.port"].default == 8000
    assert "clickhouse.tables.<name>.enabled" in found
    assert found["loader.thing.port"].default == 9


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("[::1]", "::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("rabbit_mq.local.", "rabbit_mq.local."),
        ("bücher", "bücher"),
    ],
)
def test_hosts_are_names_or_addresses(text: str, host: str) -> None:
    assert RabbitmqSettings(host=text).host == host

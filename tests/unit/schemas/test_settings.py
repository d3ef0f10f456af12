"""Settings: read from three places, within their limits, and with no secret in any text."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from schemas.settings import MissingSettingError, Settings, TransportKind

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Begin in an empty directory and without a variable."""
    monkeypatch.chdir(tmp_path)
    for name in (*Settings.model_fields, "secrets_dir"):
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)


def test_without_anything_set_there_is_a_default_for_all_but_addresses_and_secrets() -> None:
    settings = Settings()
    missing = {name for name, value in settings.model_dump().items() if value is None}
    assert missing == {
        "database_url",
        "kafka_bootstrap_servers",
        "kafka_sasl_username",
        "kafka_sasl_password",
        "kafka_ssl_cafile",
        "smtp_url",
        "smtp_ssl_cafile",
        "webhook_ssl_cafile",
        "jwt_secret",
        "health_port",
        "consumer_instance_id",
    }
    assert (settings.api_port, settings.gateway_port) == (8000, 8001)
    assert settings.transport is TransportKind.KAFKA


@pytest.mark.parametrize(
    ("variable", "get"),
    [
        ("DATABASE_URL", Settings.required_database_url),
        ("KAFKA_BOOTSTRAP_SERVERS", Settings.required_bootstrap_servers),
        ("JWT_SECRET", Settings.required_jwt_secret),
    ],
)
class TestWhatMustBeSet:
    def test_it_is_given_as_it_was_set(
        self, variable: str, get: object, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given = f"postgresql://u:{SECRET}@h/n" if variable == "DATABASE_URL" else SECRET
        monkeypatch.setenv(variable, given)
        assert callable(get)
        assert get(Settings()) == given

    @pytest.mark.parametrize("value", [None, ""])
    def test_without_it_or_with_an_empty_one_the_process_is_told_its_name(
        self, variable: str, get: object, value: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if value is not None:
            monkeypatch.setenv(variable, value)
        assert callable(get)
        with pytest.raises(MissingSettingError, match=f"^{variable} is not set"):
            get(Settings())


@pytest.mark.parametrize("secret", ["x", "x" * 31, "\u00e9" * 15])
def test_a_secret_under_32_bytes_is_refused_and_not_told(
    secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JWT_SECRET", secret)
    with pytest.raises(ValidationError, match="at least 32 bytes") as caught:
        Settings()
    assert f"'{secret}'" not in str(caught.value)
    assert secret * 2 not in str(caught.value)


def test_an_empty_file_of_secrets_is_no_secret(tmp_path: Path) -> None:
    (tmp_path / "jwt_secret").write_text("")
    with pytest.raises(ValidationError, match="at least 32 bytes"):
        Settings(_secrets_dir=tmp_path)


def test_secrets_are_read_from_files(tmp_path: Path) -> None:
    (tmp_path / "jwt_secret").write_text(SECRET)
    assert Settings(_secrets_dir=tmp_path).required_jwt_secret() == SECRET


def test_a_variable_goes_before_the_file_of_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("API_PORT=1234\nGATEWAY_PORT=1235\nUNKNOWN=1\n")
    monkeypatch.setenv("API_PORT", "4321")
    settings = Settings()
    assert (settings.api_port, settings.gateway_port) == (4321, 1235)


@pytest.mark.parametrize("name", ["database_url", "kafka_sasl_password", "jwt_secret"])
def test_a_secret_is_in_no_text_of_the_settings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = f"postgresql://u:{SECRET}@h/n" if name == "database_url" else SECRET
    monkeypatch.setenv(name.upper(), given)
    settings = Settings()
    shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    assert SECRET not in shown
    assert getattr(settings, name).get_secret_value() == given


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", "postgres://u:p%2Fw:x@db.example:5432/name?sslmode=require"),
        ("DATABASE_URL", "postgresql://u@[::1]:5432,10.0.0.2:5433/name"),
        ("DATABASE_URL", "postgresql:///name?host=/run/postgresql"),
        ("SMTP_URL", "smtp://u:p%40ss@mail.example:587"),
        ("SMTP_URL", "smtps://u%40x:p:q@[fd00::1]"),
        ("SMTP_URL", "smtp://mail.example"),
        ("SMTP_URL", "file:/var/mails"),
    ],
)
def test_where_a_server_is_may_be_written_in_each_of_these_ways(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    assert getattr(Settings(), variable.lower()).get_secret_value() == value


@pytest.mark.parametrize("odd", ["hush/hush", "hush?hush", "hush#hush", "hush@hush", "hush[hush"])
@pytest.mark.parametrize(
    ("variable", "url"),
    [("DATABASE_URL", "postgresql://u:%s@h:1/n"), ("SMTP_URL", "smtp://u:%s@h:1")],
)
def test_a_password_that_would_be_misread_is_refused_and_not_shown(
    variable: str, url: str, odd: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The drivers take a part of it for a port, and quote it in their errors."""
    monkeypatch.setenv(variable, url % odd)
    with pytest.raises(ValidationError, match=variable.lower()) as caught:
        Settings()
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("API_PORT", "0"),
        ("API_PORT", "65536"),
        ("API_PORT", "http"),
        ("API_HOST", "x" * 256),
        ("HEALTH_PORT", "-1"),
        ("KAFKA_PARTITIONS", "0"),
        ("KAFKA_PARTITIONS", "1001"),
        ("KAFKA_REPLICATION", "8"),
        ("KAFKA_TOPIC_PREFIX", "Upper."),
        ("KAFKA_TOPIC_PREFIX", "x" * 61),
        ("KAFKA_SECURITY_PROTOCOL", "plain"),
        ("KAFKA_SASL_MECHANISM", "GSSAPI"),
        ("TRANSPORT", "pigeon"),
        ("LOG_LEVEL", "debug"),
        ("LOG_FORMAT", "xml"),
        ("WEBSOCKETS_PER_USER", "0"),
        ("WEBSOCKETS_MAX", "0"),
        ("WEBSOCKET_HANDSHAKES_PER_S", "0"),
        ("WEBSOCKET_COMPRESSION", "deflate"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TRUSTED_PROXIES", "everybody"),
        ("CONSUMER_INSTANCE_ID", "a b"),
        ("CORS_ORIGINS", ",".join(f"https://{n}.example" for n in range(101))),
    ],
)
def test_a_value_outside_of_its_limits_is_refused_by_name(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValidationError, match=variable.lower()) as caught:
        Settings()
    assert f"input_value='{value[:20]}" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        ("", ()),
        ("https://a.example", ("https://a.example",)),
        (
            " https://a.example , ,http://b.example:3000,",
            ("https://a.example", "http://b.example:3000"),
        ),
    ],
)
def test_origins_are_separated_by_commas(
    text: str, origins: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORS_ORIGINS", text)
    assert Settings().cors_origins == origins


def test_trusted_proxies_are_networks_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUSTED_PROXIES", " 10.0.0.0/8, fd00::/8 ,192.0.2.1,")
    networks = [str(network) for network in Settings().trusted_proxies]
    assert networks == ["10.0.0.0/8", "fd00::/8", "192.0.2.1/32"]


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.setenv(name.upper(), "")
    assert Settings() == Settings(_env_file=None)
    assert Settings().api_port == 8000


def test_every_setting_says_what_it_is() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name

"""Settings: what an operator may turn, read from the environment, `.env` or `SECRETS_DIR`.

The first of them that has a setting counts; after them, the instance that runs in this folder.
"""

import re
from enum import StrEnum
from functools import cache
from ipaddress import IPv4Network, IPv6Network
from os import environ
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, IPvAnyNetwork, SecretStr, StringConstraints, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

Port = Annotated[int, Field(ge=1, le=65_535)]
Host = Annotated[str, StringConstraints(min_length=1, max_length=255)]

ENV_FILE = ".env"
INSTANCE_ENV_FILE = Path(environ.get("DATA_DIR", ".taskflow")) / "env"
"""Where a running `make up` tells other commands of this folder what it started."""

JWT_SECRET_BYTES_MIN = 32
"""HS256 wants a key at least as long as its hash (RFC 7518, section 3.2)."""
_HOST = r"(\[[0-9A-Fa-f:.%]+\]|[^/?#@:,\[\]]*)(:\d{1,5})?"
_LOGIN = r"([^/?#@\[\]]*@)?"
_DATABASE_PLACE = re.compile(rf"postgres(ql)?://{_LOGIN}{_HOST}(,{_HOST})*(/[^@]*)?(\?[^@]*)?")
_MAIL_PLACE = re.compile(rf"smtps?://{_LOGIN}(?!:|$){_HOST}|file:.+")


class TransportKind(StrEnum):
    """Which implementation of the transport carries the log."""

    KAFKA = "kafka"
    MEMORY = "memory"


class Settings(BaseSettings):
    """All settings of all processes; each process reads the few that it needs.

    A field's name in capitals is its environment variable. Values that are out of their limits end
    the process with the field's name and the rule; an empty variable counts as one that is not set.
    There is no default secret and no default address of a dependency: `make up` fills both in for
    what it starts itself.
    """

    model_config = SettingsConfigDict(
        env_file=(INSTANCE_ENV_FILE, ENV_FILE),
        env_ignore_empty=True,
        secrets_dir=environ.get("SECRETS_DIR"),
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    database_url: SecretStr | None = Field(
        default=None, description="PostgreSQL, as postgresql://user:password@host:port/name."
    )
    kafka_bootstrap_servers: str | None = Field(
        default=None, max_length=2_000, description="Brokers, as host:port,host:port."
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="How to talk to the brokers."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        default="SCRAM-SHA-512", description="How to log in to the brokers, with a SASL protocol."
    )
    kafka_sasl_username: str | None = Field(
        default=None, max_length=255, description="Who logs in."
    )
    kafka_sasl_password: SecretStr | None = Field(default=None, description="Its password.")
    kafka_ssl_cafile: Path | None = Field(
        default=None, description="PEM file of the authorities to trust; the system's if unset."
    )
    kafka_topic_prefix: str = Field(
        default="",
        pattern=r"^[a-z0-9._-]{0,60}$",
        description="Put before every topic and group name, for a cluster shared with others.",
    )
    kafka_replication: int = Field(
        default=1, ge=1, le=7, description="Copies of each topic; 3 in production."
    )
    kafka_partitions: int = Field(
        default=12, ge=1, le=1_000, description="Partitions of each topic made; the same for all."
    )
    transport: TransportKind = Field(
        default=TransportKind.KAFKA, description="What carries the log: kafka, or memory for tests."
    )
    jwt_secret: SecretStr | None = Field(
        default=None, description="Key of the access tokens, at least 32 bytes; no default."
    )
    channel_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        default=(),
        max_length=10,
        description=(
            "Keys of the channels' credentials at rest, each at least 32 bytes, separated by"
            " commas: the first seals, all open."
        ),
    )
    smtp_url: SecretStr | None = Field(
        default=None,
        description=(
            "Where mail goes: smtp://user:password@host:587 (with STARTTLS), smtps://…:465, or"
            " file:DIRECTORY to keep it as pages there."
        ),
    )
    smtp_ssl_cafile: Path | None = Field(
        default=None, description="PEM file of the authorities to trust for mail; the system's."
    )
    mail_from: str = Field(
        default="taskflow@localhost",
        pattern=r"^[^@\s<>,]{1,64}@[^@\s<>,]{1,190}$",
        description="The address that mail comes from.",
    )
    webhook_allow_http: bool = Field(
        default=False, description="Whether webhooks may go to http:// too, and not only https://."
    )
    webhook_allow_networks: Annotated[tuple[IPvAnyNetwork, ...], NoDecode] = Field(
        default=(),
        max_length=100,
        description="Networks of your own that webhooks may reach, as 10.0.0.0/8, with commas.",
    )
    webhook_ssl_cafile: Path | None = Field(
        default=None,
        description="PEM file of authorities to trust for webhooks, beside the system's.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), max_length=100, description="Browser origins allowed, separated by commas."
    )
    api_host: Host = Field(default="127.0.0.1", description="Address that the API listens on.")
    api_port: Port = Field(default=8000, description="Port of the API.")
    api_connections_max: int = Field(
        default=5_000,
        ge=1,
        le=1_000_000,
        description="Connections that the API may have open; beyond, who waits longest makes room.",
    )
    gateway_host: Host = Field(default="127.0.0.1", description="Address of the gateway.")
    gateway_port: Port = Field(default=8001, description="Port of the gateway.")
    websockets_per_user: int = Field(
        default=50, ge=1, le=100_000, description="Connections that one user may have open."
    )
    websockets_per_address: int = Field(
        default=2_000, ge=1, le=1_000_000, description="Connections that one address may have open."
    )
    websockets_max: int = Field(
        default=20_000, ge=1, le=1_000_000, description="Connections that a gateway may have open."
    )
    websocket_handshakes_per_s: int = Field(
        default=3_000,
        ge=1,
        le=1_000_000,
        description="Connections that a gateway takes in a second, after a burst of twice as many.",
    )
    websocket_compression: bool = Field(
        default=False,
        description="Whether websockets offer permessage-deflate: less traffic, more memory.",
    )
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        default=(),
        max_length=100,
        description="Networks whose X-Forwarded-For is believed, as 10.0.0.0/8,fd00::/8.",
    )
    health_host: Host = Field(
        default="127.0.0.1", description="Address of a worker's or relay's health port."
    )
    health_port: Port | None = Field(
        default=None,
        description="Port of /health/* and /metrics of a worker or relay; none if unset.",
    )
    consumer_instance_id: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9._-]{1,100}$",
        description="Static group membership (KIP-345): a restarted worker keeps its partitions.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="The least that is logged."
    )
    log_format: Literal["text", "json"] = Field(default="text", description="One line per record.")
    data_dir: Path = Field(
        default=Path(".taskflow"), description="Where `make up` keeps its servers and their data."
    )

    @field_validator(
        "cors_origins", "trusted_proxies", "channel_keys", "webhook_allow_networks", mode="before"
    )
    @classmethod
    def _split_at_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("jwt_secret")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().encode()) < JWT_SECRET_BYTES_MIN:
            raise ValueError(f"must be at least {JWT_SECRET_BYTES_MIN} bytes")
        return value

    @field_validator("database_url")
    @classmethod
    def _readable(cls, value: SecretStr | None) -> SecretStr | None:
        """Refuse what the driver would misread: its error quotes a part of the password."""
        if value is not None and not _DATABASE_PLACE.fullmatch(value.get_secret_value()):
            raise ValueError(
                "must be postgresql://user:password@host:port/name; in a password / ? # @ [ ]"
                " are written %2F %3F %23 %40 %5B %5D"
            )
        return value

    @field_validator("smtp_url")
    @classmethod
    def _known_scheme(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _MAIL_PLACE.fullmatch(value.get_secret_value()):
            raise ValueError("must be smtp://host:port, smtps://host:port or file:DIRECTORY")
        return value

    @field_validator("channel_keys")
    @classmethod
    def _each_long_enough(cls, values: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for value in values:
            cls._long_enough(value)
        return values

    def required_database_url(self) -> str:
        """Give DATABASE_URL, or end with a sentence that says how to set it."""
        if self.database_url is None:
            raise MissingSettingError(
                "DATABASE_URL", "postgresql://user:password@host:5432/taskflow"
            )
        return self.database_url.get_secret_value()

    def required_bootstrap_servers(self) -> str:
        """Give KAFKA_BOOTSTRAP_SERVERS, or end with a sentence that says how to set it."""
        if self.kafka_bootstrap_servers is None:
            raise MissingSettingError("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092")
        return self.kafka_bootstrap_servers

    def required_jwt_secret(self) -> str:
        """Give JWT_SECRET, or end with a sentence that says how to make one."""
        if self.jwt_secret is None:
            raise MissingSettingError("JWT_SECRET", "$(openssl rand -hex 32)")
        return self.jwt_secret.get_secret_value()


class MissingSettingError(RuntimeError):
    """A setting without a default was not given; the message names it and shows an example."""

    def __init__(self, name: str, example: str) -> None:
        super().__init__(f"{name} is not set. Set it, as in {name}={example}, or run `make up`.")


@cache
def load_settings() -> Settings:
    """Read the settings once for this process."""
    return Settings()

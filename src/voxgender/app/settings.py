"""Settings: each declared once, read from the environment here and nowhere else, given by flags of the same name."""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableSettingError

from voxgender.app.postgres_url import is_postgres, without_password
from voxgender.core.errors import SettingsError
from voxgender.files.models import DEFAULT_MODEL

MalePrior: TypeAlias = Annotated[float, Field(gt=0, lt=1)]
"""A prior that a :class:`~voxgender.core.decision.Decision` takes."""
MinProbability: TypeAlias = Annotated[float, Field(ge=0.5, lt=1)]
"""A smallest probability that a :class:`~voxgender.core.decision.Decision` takes."""

ENV_PREFIX: Final = "VOXGENDER_"
SQLITE_PREFIX: Final = "sqlite:///"
# What the library ``limits`` reads as one limit; it would also take a list, of which only the first would be kept.
_RATE_LIMIT: Final = re.compile(
    r"[1-9]\d*\s*(/|per)\s*([1-9]\d*\s*)?(second|minute|hour|day|month|year)s?", re.IGNORECASE
)

RATE_LIMIT_REASON: Final = 'must be one limit above 0, like "1 per 5 second" or "100 per minute"'
"""What is wrong with a limit that is none."""


class Settings(BaseSettings):
    """Everything that can be set about the service; each field is an environment variable and a flag of ``serve``."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    grpc: bool = Field(True, description="Whether gRPC is answered as well.")
    grpc_port: int = Field(8080, ge=0, le=65535, description="Port to listen on for gRPC; 0 takes a free one.")
    grpc_certificate_file: Path | None = Field(
        None, description="PEM file of the certificate chain for gRPC over TLS; none: no TLS."
    )
    grpc_key_file: Path | None = Field(None, description="PEM file of the certificate's private key.")
    keys: Literal["auto", "on", "off"] = Field(
        "auto", description="Whether callers must have a key: auto demands one unless the host is this machine's own."
    )
    workers: int = Field(1, ge=1, le=256, description="Processes that answer on the ports; they share the store.")
    store_url: str = Field(
        "sqlite:///voxgender.db",
        repr=False,  # it may hold a password
        description="Where tasks live: sqlite:///PATH, or postgresql://USER:PASSWORD@HOST/NAME for several hosts.",
    )
    task_ttl_s: float = Field(3600.0, gt=0, le=10 * 365 * 86400, description="Seconds that a finished task is kept.")
    max_voiceprints: int = Field(50_000, ge=1, description="Most voiceprints in one request.")
    max_body_bytes: int = Field(128 * 1024**2, ge=1, description="Largest request body in bytes.")
    max_file_bytes: int = Field(500 * 1024**2, ge=1, description="Largest media file in bytes.")
    max_audio_s: float = Field(7200.0, gt=0, le=86_400, description="Longest audio of a media file in seconds.")
    spool_dir: Path | None = Field(
        None, description="Folder for uploaded media until their tasks end; none: beside the SQLite store, STORE-media."
    )
    spool_capacity_bytes: int = Field(1024**3, ge=1, description="Most bytes of uploaded media that wait.")
    extractors: int | None = Field(
        None, ge=0, le=256, description="Processes that work on media; none: as many as there are cores."
    )
    task_time_limit_s: float = Field(1800.0, gt=0, description="Longest work on one media file in seconds.")
    hold_s: float = Field(
        12.0, ge=1, le=3600, description="Seconds without a word of its worker after which a task goes to another one."
    )
    drain_s: float = Field(
        0.0,
        ge=0,
        le=15,
        description="Seconds for which a server that is to stop says that it is not ready but answers.",
    )
    task_memory_bytes: int = Field(
        1024**3, ge=256 * 1024**2, description="Most memory that a process takes for one media file."
    )
    storage_capacity_bytes: int = Field(1024**3, ge=1, description="Most bytes that tasks and results may take up.")
    rate_limit: str | None = Field(
        None, description='Requests a client may send, like "1 per 5 second"; none: no limit.'
    )
    licence_file: Path | None = Field(None, description="JSON file of a licence that bounds the work; none: unlimited.")
    otlp_endpoint: str | None = Field(
        None,
        pattern=r"https?://[^\s/]+",
        description="Collector of traces by OTLP over HTTP, like http://host:4318; none: no traces.",
    )
    metrics_port: int | None = Field(
        None, ge=0, le=65535, description="Port on which `voxgender work` answers /metrics; none: it does not."
    )
    male_prior: MalePrior = Field(0.5, description="Probability of a male voice before anything is heard.")
    min_probability: MinProbability = Field(0.5, description="A gender under this probability is told as unknown.")
    model: str = Field(
        DEFAULT_MODEL, min_length=1, description="Model: a shipped model's id, or the path of a model folder."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    secrets_dir: Path | None = Field(
        None,
        description="Folder of files that each hold a setting, like voxgender_store_url; variables and flags win.",
    )

    @property
    def sqlite_path(self) -> Path:
        """The file that ``store_url`` names, where it names one."""
        return Path(self.store_url.removeprefix(SQLITE_PREFIX))

    @property
    def demands_keys(self) -> bool:
        """Whether callers must have a key."""
        return self.keys == "on" or (self.keys == "auto" and not is_loopback(self.host))

    @property
    def is_for_this_machine(self) -> bool:
        """Whether only this machine's programs are meant to call: it listens for them, and nothing was said of keys."""
        return self.keys == "auto" and is_loopback(self.host)

    @property
    def counts_requests(self) -> bool:
        """Whether requests may have to be counted: by the limit for all, or by that of a key."""
        return self.rate_limit is not None or self.demands_keys

    @field_validator("store_url")
    @classmethod
    def _known_store(cls, url: str) -> str:
        path = url.removeprefix(SQLITE_PREFIX)
        if not is_postgres(url) and (path in (url, "") or path.startswith(":") or "?" in path):
            # Not a ValueError, whose message would repeat the URL with whatever password is in it.
            raise SettingsError(
                f"VOXGENDER_STORE_URL (--store-url) is {without_password(url):.200}: must look like "
                "sqlite:///tasks.db, sqlite:////var/lib/voxgender/tasks.db or postgresql://user:password@host/name"
            )
        return url

    @field_validator("rate_limit")
    @classmethod
    def _readable_limit(cls, text: str | None) -> str | None:
        if text is not None and not is_rate_limit(text):
            raise ValueError(RATE_LIMIT_REASON)
        return text

    @field_validator("log_level", "keys", mode="before")
    @classmethod
    def _any_case(cls, level: object) -> object:
        return level.lower() if isinstance(level, str) else level


def is_rate_limit(text: str) -> bool:
    """Return whether a text is one limit, like ``100 per minute``."""
    return _RATE_LIMIT.fullmatch(text) is not None


def is_loopback(host: str) -> bool:
    """Return whether who listens on a host is reached from this machine alone.

    Example:
        >>> [is_loopback(host) for host in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "example.org")]
        [True, True, True, False, False]
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def load_settings(**flags: Any) -> Settings:
    """Return the settings: flags first, then environment variables, then files of secrets, then defaults.

    Args:
        **flags: Values by field name; None means not given.

    Raises:
        SettingsError: Where a value cannot be; one sentence that names the setting and the value.

    Example:
        >>> load_settings(port=9000).port
        9000
        >>> load_settings(port=99999)
        Traceback (most recent call last):
        ...
        voxgender.core.errors.SettingsError: VOXGENDER_PORT (--port) is 99999: input should be less than ...
    """
    given = {name: value for name, value in flags.items() if value is not None}
    secrets_dir = given.get("secrets_dir") or os.environ.get(f"{ENV_PREFIX}SECRETS_DIR") or None
    try:
        if secrets_dir is not None:
            _check_names(Path(secrets_dir))
        return Settings(_secrets_dir=secrets_dir, **given)
    except OSError as error:
        raise _no_secrets(secrets_dir, error) from None
    except UnreadableSettingError as error:
        raise _no_secrets(secrets_dir, error.__cause__) from None
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        reason = first["msg"].removeprefix("Value error, ")
        raise SettingsError(
            f"{ENV_PREFIX}{name.upper()} (--{name.replace('_', '-')}) is {first['input']!s:.200}: "
            f"{reason[0].lower()}{reason[1:]}"
        ) from None


def _check_names(secrets_dir: Path) -> None:
    """Refuse a file that is named like a setting and is none: the library would pass it over, and so the secret.

    Raises:
        OSError: Where there is no such folder, of which the library would only warn.
        SettingsError: Where there is such a file.
    """
    for name in sorted(path.name for path in secrets_dir.iterdir()):
        setting = name.lower().removeprefix(ENV_PREFIX.lower())
        if setting != name.lower() and setting not in Settings.model_fields:
            meant = difflib.get_close_matches(setting, Settings.model_fields, 1)
            hint = f"; is it {ENV_PREFIX.lower()}{meant[0]}?" if meant else ""
            raise SettingsError(
                f"{ENV_PREFIX}SECRETS_DIR (--secrets-dir) is {secrets_dir!s:.200}: there is no setting for its file "
                f"{name:.100}{hint}"
            )


def _no_secrets(secrets_dir: object, error: BaseException | None) -> SettingsError:
    """Return the error of secrets that cannot be read; it tells nothing of what is in a file."""
    reason = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else "a setting's file is not UTF-8"
    return SettingsError(f"{ENV_PREFIX}SECRETS_DIR (--secrets-dir) is {secrets_dir!s:.200}: {reason:.300}")

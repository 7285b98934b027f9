"""How the job tier is set up; every field is an environment variable ``OFFLOOP_…``."""

from base64 import b64decode
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, RedisDsn, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from reports.settings import STATE, AbsolutePath
from workers.callbacks import parse_host


def _split(hosts: object) -> object:
    return (
        tuple(filter(None, map(str.strip, hosts.split(",")))) if isinstance(hosts, str) else hosts
    )


def _is_secret(text: str) -> bool:
    """Whether it is what Standard Webhooks allows for symmetric secrets."""
    try:
        secret = b64decode(text.removeprefix("whsec_"), validate=True)
    except ValueError:
        return False
    return text.startswith("whsec_") and 24 <= len(secret) <= 64  # noqa: PLR2004 - the standard's


class TierSettings(BaseSettings):
    """Settings that the API and the workers must share."""

    model_config = SettingsConfigDict(env_prefix="OFFLOOP_", frozen=True)

    #: Server and database number of the broker. Job records live in the next database number:
    #: Dramatiq's maintenance runs ``KEYS`` over its own, and would walk every record in it.
    redis_url: RedisDsn = Field(default=RedisDsn("redis://127.0.0.1:6379/0"))

    #: Seconds an API request waits for the broker before it gives up.
    broker_deadline_s: float = Field(default=2.0, gt=0)

    #: Seconds a job is remembered after it was accepted or, later, finished.
    record_ttl_s: int = Field(default=7 * 24 * 3600, gt=0)

    #: Attempts a job gets, those included whose worker died, before it is given up.
    max_attempts: int = Field(default=4, gt=0)

    #: Seconds an attempt may take before its worker is ended.
    job_time_limit_s: float = Field(default=600.0, gt=0)

    #: Seconds a job may go on after its slot was told to stop (SIGTERM), before it is handed back.
    #: Whoever stops slots must wait a little longer than this before it kills them.
    shutdown_grace_s: float = Field(default=5.0, ge=0)

    #: Seconds before the second attempt at a job that failed; doubled for each further one.
    first_retry_s: float = Field(default=1.0, gt=0)

    #: Messages a queue may hold, those being worked on included, before orders are refused.
    queue_limit: int = Field(default=1000, gt=0)

    #: Whether an order with a known idempotency key gives the job that the key stands for. Without,
    #: every order is a new job, as in a tier that knows no keys.
    idempotency_keys: bool = True

    #: Seconds an idempotency key is remembered; at most as long as the job it stands for.
    idempotency_ttl_s: int = Field(default=24 * 3600, gt=0)

    #: Milliseconds of silence after which a worker counts as dead and its jobs are given to
    #: others. Too short is not wrong, only wasteful: a job that runs twice finishes once.
    heartbeat_timeout_ms: int = Field(default=2000, gt=0)

    #: Seconds between two looks for dead workers, and for files that have expired.
    recovery_interval_s: float = Field(default=1.0, gt=0)
    expiry_interval_s: float = Field(default=60.0, gt=0)

    #: Seconds between two looks for jobs without a message.
    sweep_interval_s: float = Field(default=10.0, gt=0)

    #: Seconds a report's file is kept, and bytes that all of them may take together.
    file_ttl_s: float = Field(default=7 * 24 * 3600, gt=0)
    files_max_bytes: int = Field(default=10 * 10**9, gt=0)

    #: The billing ledger, which every worker of the tier must reach.
    ledger_path: AbsolutePath = STATE / "ledger.sqlite"

    #: Hosts that may be called back, as ``host`` or ``host:port``, with commas between them.
    callback_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = ()

    #: Signs callbacks (Standard Webhooks): ``whsec_`` and then 24 to 64 bytes in base64.
    webhook_secret: SecretStr | None = None

    #: Seconds one delivery of a callback may take, and before the second try; doubled for each
    #: further one up to an hour. Standard Webhooks advises 15 to 30 s, and to try for days.
    callback_timeout_s: float = Field(default=15.0, gt=0)
    callback_first_retry_s: float = Field(default=5.0, gt=0)
    callback_max_tries: int = Field(default=60, gt=0)

    @model_validator(mode="after")
    def _keys_stand_for_something(self) -> Self:
        if self.idempotency_ttl_s > self.record_ttl_s:
            raise ValueError(
                f"OFFLOOP_IDEMPOTENCY_TTL_S ({self.idempotency_ttl_s}) is longer than "
                f"OFFLOOP_RECORD_TTL_S ({self.record_ttl_s}): a key would stand for a job that is "
                "forgotten"
            )
        return self

    @field_validator("callback_hosts")
    @classmethod
    def _hosts_can_be_read(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            parse_host(host)
        return hosts

    @model_validator(mode="after")
    def _callbacks_can_be_signed(self) -> Self:
        if not self.callback_hosts:
            return self
        if self.webhook_secret is None:
            raise ValueError(
                "OFFLOOP_CALLBACK_HOSTS allows callbacks, but there is no OFFLOOP_WEBHOOK_SECRET "
                "to sign them with: set it to whsec_ and the base64 of 24 to 64 random bytes"
            )
        if not _is_secret(self.webhook_secret.get_secret_value()):
            raise ValueError(
                "OFFLOOP_WEBHOOK_SECRET is not whsec_ and the base64 of 24 to 64 random bytes"
            )
        return self

    @property
    def broker_db(self) -> int:
        """The database number of the queues."""
        return int((self.redis_url.path or "/0").lstrip("/") or 0)

    @property
    def records_db(self) -> int:
        """The database number of the job records."""
        return self.broker_db + 1

    @property
    def records_url(self) -> str:
        """Server and database number of the job records: a client obeys the number in the URL."""
        return urlsplit(str(self.redis_url))._replace(path=f"/{self.records_db}").geturl()

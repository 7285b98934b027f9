import pytest
from pydantic import ValidationError
from redis.asyncio.connection import parse_url

from workers.settings import TierSettings


@pytest.mark.parametrize(
    ("url", "broker", "records"),
    [
        ("redis://127.0.0.1:6379", 0, 1),
        ("redis://127.0.0.1:6379/0", 0, 1),
        ("redis://127.0.0.1:6379/", 0, 1),
        ("redis://user:pass@broker:6380/4", 4, 5),
        ("rediss://broker/2?ssl_cert_reqs=none", 2, 3),
    ],
)
def test_records_live_in_the_database_after_that_of_the_queues(
    monkeypatch: pytest.MonkeyPatch, url: str, broker: int, records: int
) -> None:
    monkeypatch.setenv("OFFLOOP_REDIS_URL", url)

    settings = TierSettings()

    # What a client makes of each URL is what counts.
    queues_at, records_at = parse_url(str(settings.redis_url)), parse_url(settings.records_url)
    assert (settings.broker_db, settings.records_db) == (broker, records)
    assert (queues_at.get("db", 0), records_at["db"]) == (broker, records)
    assert {**queues_at, "db": 0} == {**records_at, "db": 0}


SECRET = "whsec_" + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"


def test_allowed_hosts_are_read_with_commas_between_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFFLOOP_CALLBACK_HOSTS", "example.test, 127.0.0.1:8080,")
    monkeypatch.setenv("OFFLOOP_WEBHOOK_SECRET", SECRET)

    assert TierSettings().callback_hosts == ("example.test", "127.0.0.1:8080")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"callback_hosts": "example.test"}, "there is no OFFLOOP_WEBHOOK_SECRET"),
        (
            {"callback_hosts": "example.test", "webhook_secret": "whsec_"},
            "OFFLOOP_WEBHOOK_SECRET is not whsec_",
        ),
        ({"callback_hosts": "http://example.test", "webhook_secret": SECRET}, "http://example"),
        ({"record_ttl_s": 60}, "OFFLOOP_IDEMPOTENCY_TTL_S .* is longer than OFFLOOP_RECORD_TTL_S"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_the_start(
    settings: dict[str, object], says: str
) -> None:
    with pytest.raises(ValidationError, match=says):
        TierSettings.model_validate(settings)

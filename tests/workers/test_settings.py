import pytest
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

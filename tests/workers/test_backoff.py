from hypothesis import given
from hypothesis import strategies as st

from workers.backoff import backoff_s


@given(tries=st.integers(1, 10_000), first_s=st.floats(0.01, 60), limit_s=st.floats(60, 3600))
def test_pauses_double_with_jitter_up_to_a_limit(
    tries: int, first_s: float, limit_s: float
) -> None:
    longest_s = limit_s if tries > 30 else min(first_s * 2 ** (tries - 1), limit_s)

    assert longest_s / 2 <= backoff_s(tries, first_s, limit_s) <= longest_s

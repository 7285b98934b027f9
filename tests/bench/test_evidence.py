from pathlib import Path

import pytest

from offloop.bench.evidence import Frame, SeenStack, guilty_frame, parse_stacks, py_spy_command

ROOT = Path("/checkout")

#: What py-spy writes with `--threads --subprocesses`: a parent, its child, and its child's thread.
RAW = """\
process 7:"python -m dramatiq workers.fixed --queues long";thread (7): MainThread;\
main (/usr/lib/python3.11/runpy.py:88);wait (/usr/lib/python3.11/selectors.py:415) 30
process 7:"python -m dramatiq workers.fixed --queues long";\
process 8:"python -m dramatiq workers.fixed --queues long";thread (9): Thread-4 (_run);\
Actor.run (/checkout/workers/fixed.py:20);\
Sum.add.<locals>.<listcomp> (/checkout/reports/pricing.py:31) 12
thread (9): MainThread;f (/with (brackets)/a:b.py:3) 1
"""


def seen(samples: int, *functions: str, thread: str = "main") -> SeenStack:
    """A stack of functions `NAME`, each in `/checkout/reports/NAME.py` at line 1, or as given."""
    frames = [
        Frame(name, path or f"/checkout/reports/{name}.py", int(line or 1))
        for name, _, place in (function.partition("@") for function in functions)
        for path, _, line in (place.partition("#"),)
    ]
    return SeenStack(thread, tuple(frames), samples)


def test_a_stack_is_read_with_its_processes_and_its_thread_as_one_name() -> None:
    parent, child, _ = parse_stacks(RAW)

    assert parent.samples == 30
    assert parent.frames[-1] == Frame("wait", "/usr/lib/python3.11/selectors.py", 415)
    assert child.samples == 12
    assert child.thread.startswith('process 7:"python')
    assert child.thread.endswith("thread (9): Thread-4 (_run)")
    assert child.frames == (
        Frame("Actor.run", "/checkout/workers/fixed.py", 20),
        # A comprehension has a name of its own in some versions of Python only.
        Frame("Sum.add", "/checkout/reports/pricing.py", 31),
    )


def test_a_path_with_brackets_or_a_colon_is_still_a_frame() -> None:
    *_, odd = parse_stacks(RAW)

    assert odd.frames == (Frame("f", "/with (brackets)/a:b.py", 3),)
    assert odd.thread == "thread (9): MainThread"


def test_nothing_seen_is_nothing_read() -> None:
    assert parse_stacks("") == []


def test_a_deep_callee_that_carries_most_samples_is_named_in_place_of_its_callers() -> None:
    stacks = [
        seen(80, "handler", "build", "price"),
        seen(10, "handler", "build", "write"),
        seen(10, "handler"),
    ]

    assert guilty_frame(stacks, ROOT) == (Frame("price", "/checkout/reports/price.py", 1), 0.8)


def test_a_caller_that_spreads_its_time_over_many_callees_is_named_itself() -> None:
    stacks = [seen(20, "handler", "build", callee) for callee in ("price", "write", "add", "sort")]

    assert guilty_frame([*stacks, seen(20, "handler")], ROOT) == (
        Frame("build", "/checkout/reports/build.py", 1),
        0.8,
    )


def test_middleware_that_everything_passes_through_is_not_named_for_the_work_of_one_route() -> None:
    limit = "limit@/checkout/web/limits.py#1"
    stacks = [
        *(seen(count, limit, "ping") for count in (20, 15)),
        seen(50, limit, "report", "price"),
        seen(15, limit, "report", "write"),
    ]

    assert guilty_frame(stacks, ROOT) == (Frame("price", "/checkout/reports/price.py", 1), 0.5)


def test_the_thread_whose_work_takes_longest_is_the_one_that_counts() -> None:
    stacks = [
        seen(40, "price", thread="worker"),
        seen(60, "select@/usr/lib/python3.11/selectors.py#1", thread="worker"),
        seen(10, "beat", thread="heart"),
        seen(90, "select@/usr/lib/python3.11/selectors.py#1", thread="heart"),
    ]

    assert guilty_frame(stacks, ROOT) == (Frame("price", "/checkout/reports/price.py", 1), 0.4)


def test_a_function_counts_once_in_a_stack_however_deep_it_recurses() -> None:
    stacks = [seen(10, "walk", "walk", "walk"), seen(30, "other")]

    found = guilty_frame(stacks, ROOT)

    assert found == (Frame("other", "/checkout/reports/other.py", 1), 0.75)


def test_the_line_is_the_one_seen_most_often_in_the_function() -> None:
    file = "/checkout/reports/price.py"
    stacks = [seen(3, f"price@{file}#10"), seen(9, f"price@{file}#12"), seen(4, f"price@{file}#14")]

    assert guilty_frame(stacks, ROOT) == (Frame("price", file, 12), 1.0)


def test_the_share_is_that_of_the_thread_with_what_it_did_elsewhere() -> None:
    stacks = [
        seen(25, "price"),
        seen(75, "select@/usr/lib/python3.11/selectors.py#1"),
        seen(100, "select@/usr/lib/python3.11/selectors.py#1", thread="other"),
    ]

    assert guilty_frame(stacks, ROOT) == (Frame("price", "/checkout/reports/price.py", 1), 0.25)


@pytest.mark.parametrize(
    "file",
    [
        "/usr/lib/python3.11/asyncio/base_events.py",
        "/checkout/.venv/lib/python3.11/site-packages/uvicorn/server.py",
        "/checkout/offloop/telemetry/loop_monitor.py",
        "/checkout-of-another/reports/price.py",
        "<frozen runpy>",
    ],
)
def test_where_only_others_code_was_seen_nobody_is_named(file: str) -> None:
    assert guilty_frame([seen(100, f"run@{file}#5")], ROOT) is None


def test_a_process_that_does_a_little_of_everything_is_held_by_nothing() -> None:
    waits = seen(90, "select@/usr/lib/python3.11/selectors.py#1")

    assert guilty_frame([waits, seen(10, "limit", "ping")], ROOT) is None


def test_a_thread_is_held_by_a_function_with_all_that_it_calls() -> None:
    waits = seen(60, "select@/usr/lib/python3.11/selectors.py#1")
    calls = [seen(15, "report", "price"), seen(15, "report", "write"), seen(10, "report")]

    assert guilty_frame([waits, *calls], ROOT) == (
        Frame("report", "/checkout/reports/report.py", 1),
        0.4,
    )


def test_where_nothing_was_seen_nobody_is_named() -> None:
    assert guilty_frame([], ROOT) is None


def test_a_profile_takes_at_least_a_second_and_includes_what_waits_and_what_was_forked() -> None:
    command = py_spy_command(42, 0.2, Path("/out.txt"))

    assert command[command.index("--duration") + 1] == "1"
    assert {"--idle", "--subprocesses", "--threads"} < set(command)

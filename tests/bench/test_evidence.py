from pathlib import Path

import pytest

from offloop.bench.evidence import (
    Frame,
    Profile,
    SeenStack,
    guilty,
    parse_stacks,
    py_spy_command,
    said,
)
from offloop.measuring.results import Guilty

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


IDLE = "select@/usr/lib/python3.11/selectors.py#1"


def seen(samples: int, *functions: str, thread: str = "main") -> SeenStack:
    """A stack of functions `NAME`, each in `/checkout/reports/NAME.py` at line 1, or as given."""
    frames = [
        Frame(name, path or f"/checkout/reports/{name}.py", int(line or 1))
        for name, _, place in (function.partition("@") for function in functions)
        for path, _, line in (place.partition("#"),)
    ]
    return SeenStack(thread, tuple(frames), samples)


def profile(*stacks: SeenStack, process: str = "naive") -> Profile:
    return Profile("arm", process, stacks)


def only(*stacks: SeenStack) -> Guilty:
    (found,) = guilty([profile(*stacks)], ROOT)
    return found


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


def test_an_empty_profile_has_no_stacks() -> None:
    assert parse_stacks("") == []


#: Alone, the naive app would be named for `write`, and the worker for `build`.
NAIVE = profile(seen(17, "publish", "build", "write"), seen(3, "publish", "build", "price"))
WORKER = profile(
    seen(60, "publish", "build", "write"),
    seen(40, "publish", "build", "stream"),
    process="worker",
)


@pytest.mark.parametrize("profiles", [[NAIVE, WORKER], [WORKER, NAIVE]])
def test_all_processes_are_reported_by_the_same_function_if_possible(
    profiles: list[Profile],
) -> None:
    found = guilty(profiles, ROOT)

    assert [(each.process, each.function, each.share) for each in found] == [
        (each.process, "build", 1.0) for each in profiles
    ]


def test_a_process_alone_is_reported_by_its_own_hottest_function() -> None:
    (naive,) = guilty([NAIVE], ROOT)

    assert (naive.function, naive.share) == ("write", 0.85)


def test_a_process_counts_the_same_however_many_samples_it_has() -> None:
    ten_times = [stack._replace(samples=10 * stack.samples) for stack in NAIVE.stacks]

    assert [each.function for each in guilty([profile(*ten_times), WORKER], ROOT)] == ["build"] * 2


def test_processes_with_different_entry_points_share_a_common_function() -> None:
    worker = profile(seen(10, "publish", "build"), process="worker")

    found = guilty([profile(seen(10, "build")), worker], ROOT)

    assert [each.function for each in found] == ["build", "build"]


def test_a_process_that_never_calls_that_function_is_reported_by_another() -> None:
    found = guilty([NAIVE, WORKER, profile(seen(10, "query"), process="sql")], ROOT)

    assert [(each.process, each.function) for each in found] == [
        ("naive", "build"),
        ("worker", "build"),
        ("sql", "query"),
    ]


@pytest.mark.parametrize("idle", [0, 100, 400])
def test_idle_time_changes_the_building_share_and_not_the_functions(idle: int) -> None:
    found = only(seen(70, "build", "price"), seen(30, "build", "write"), seen(idle, IDLE))

    assert found.building_share == 100 / (100 + idle)
    assert (found.function, found.share) == ("build", 1.0)
    assert (found.hottest_function, found.hottest_share) == ("price", 0.7)


@pytest.mark.parametrize(
    "stacks",
    [
        pytest.param([], id="nothing seen"),
        pytest.param([seen(100, IDLE)], id="idle"),
        pytest.param([seen(14, "spec"), seen(86, IDLE)], id="hands its reports over"),
        pytest.param(
            [
                seen(samples, function, thread=thread)
                for thread in ("a", "b")
                for samples, function in ((14, "spec"), (86, IDLE))
            ],
            id="a little in each thread",
        ),
        *(
            pytest.param([seen(100, f"run@{file}#5")], id=file)
            for file in (
                "/checkout/offloop/telemetry/loop_monitor.py",
                "/checkout/naive_app/reports/routes.py",
                "/checkout/reports_old/price.py",
                "/checkout/.venv/lib/python3.11/site-packages/reports/price.py",
                "/checkout-of-another/reports/price.py",
                "<frozen runpy>",
            )
        ),
    ],
)
def test_a_process_that_does_not_build_reports_is_not_named(stacks: list[SeenStack]) -> None:
    found = guilty([profile(*stacks, process="api"), WORKER], ROOT)

    assert guilty([profile(*stacks)], ROOT) == []
    assert found == guilty([WORKER], ROOT)


def test_the_building_time_of_the_workers_of_a_server_is_added_up() -> None:
    stacks = [
        *(seen(12, "price", thread=f'process {pid}:"gunicorn";main') for pid in (8, 9)),
        *(seen(88, IDLE, thread=f'process {pid}:"gunicorn";main') for pid in (8, 9)),
        seen(100, IDLE, thread="master"),
    ]

    (found,) = guilty([profile(*stacks)], ROOT)

    assert (found.function, found.building_share) == ("price", 0.24)


def test_the_thread_that_builds_most_counts() -> None:
    found = only(
        seen(40, "price", thread="worker"),
        seen(60, IDLE, thread="worker"),
        seen(10, "beat", thread="heart"),
        seen(300, IDLE, thread="other"),
    )

    assert (found.function, found.building_share) == ("price", 0.4)


def test_a_function_that_calls_itself_counts_once() -> None:
    found = only(seen(10, "walk", "step", "walk", "walk"), seen(10, "walk", "other"))

    assert (found.function, found.share) == ("walk", 1.0)


def test_the_line_is_the_one_seen_most_often_in_the_function() -> None:
    file = "/checkout/reports/price.py"
    found = only(
        seen(3, f"price@{file}#10"),
        seen(5, f"price@{file}#12", "add"),
        seen(4, f"price@{file}#12", "round"),
        seen(8, f"price@{file}#14", "sort"),
    )

    assert (found.file, found.function, found.line) == ("reports/price.py", "price", 12)


def test_the_hottest_line_is_in_reports_and_includes_library_calls() -> None:
    files = "/checkout/reports/files.py"
    found = only(
        seen(15, "build", f"write@{files}#120", "compress@/usr/lib/python3.11/gzip.py#1"),
        seen(15, "build", f"write@{files}#120", "encode@/usr/lib/python3.11/codecs.py#1"),
        seen(20, "build", f"write@{files}#121"),
        seen(25, "build", "price", "add"),
        seen(25, "build", "price", "round"),
    )

    assert (found.hottest_file, found.hottest_line) == ("reports/files.py", 120)
    assert (found.hottest_function, found.hottest_share) == ("write", 0.3)


def test_a_process_is_described_in_a_sentence() -> None:
    build, files = "/checkout/reports/build.py", "/checkout/reports/files.py"
    found = only(
        seen(41, f"price_and_write@{build}#88", f"CsvWriter.write@{files}#120"),
        seen(41, f"price_and_write@{build}#90"),
        seen(18, "fetch"),
        seen(100, IDLE),
    )

    assert said(found) == (
        "arm: naive built reports 50% of the time; "
        "82% of that in price_and_write (reports/build.py:88), "
        "most of all at CsvWriter.write (reports/files.py:120), 41%"
    )


def test_the_hottest_line_is_not_named_twice() -> None:
    assert said(only(seen(10, "price"), seen(10, IDLE))) == (
        "arm: naive built reports 50% of the time; 100% of that in price (reports/price.py:1)"
    )


def test_a_profile_takes_at_least_a_second_with_idle_threads_and_children() -> None:
    command = py_spy_command(42, 0.2, Path("/out.txt"))

    assert command[command.index("--duration") + 1] == "1"
    assert {"--idle", "--subprocesses", "--threads"} < set(command)

"""What Prometheus is told of the services, where there are no containers."""

import json
from pathlib import Path

from offloop.stack.service import Service
from offloop.targets import targets, write_targets


def service(name: str, *ports: int) -> Service:
    urls = tuple(f"http://127.0.0.1:{port}/metrics" for port in ports)
    return Service(name=name, command=("true",), metrics_urls=urls)


def test_services_have_the_labels_that_dashboards_and_rules_ask_for() -> None:
    services = [
        service("naive", 9101),
        service("fixed", 9102),
        service("worker-short-1", 9103),
        service("worker-long-12", 9104),
        service("housekeeping", 9105),
    ]

    assert [target["labels"] for target in targets(services)] == [
        {"job": "naive", "side": "naive", "instance": "naive"},
        {"job": "fixed", "side": "fixed", "instance": "fixed"},
        {"job": "worker", "side": "fixed", "pool": "short", "instance": "worker-short-1"},
        {"job": "worker", "side": "fixed", "pool": "long", "instance": "worker-long-12"},
        {"job": "housekeeping", "side": "fixed", "instance": "housekeeping"},
    ]
    assert [target["targets"] for target in targets(services)] == [
        [f"127.0.0.1:{port}"] for port in range(9101, 9106)
    ]


def test_a_service_without_metrics_is_no_target() -> None:
    assert list(targets([service("redis")])) == []


def test_each_process_of_a_service_is_an_instance() -> None:
    found = targets([service("naive", 9101, 9102)])

    assert [(target["targets"], target["labels"]) for target in found] == [
        (["127.0.0.1:9101"], {"job": "naive", "side": "naive", "instance": "naive-process-1"}),
        (["127.0.0.1:9102"], {"job": "naive", "side": "naive", "instance": "naive-process-2"}),
    ]


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "targets" / "up.json"
    write_targets(file, [service("naive", 9101), service("fixed", 9102)])

    write_targets(file, [service("naive", 9101)])

    assert json.loads(file.read_text()) == [
        {
            "targets": ["127.0.0.1:9101"],
            "labels": {"job": "naive", "side": "naive", "instance": "naive"},
        }
    ]
    assert [path.name for path in file.parent.iterdir()] == ["up.json"]

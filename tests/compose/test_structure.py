"""docker-compose.yml, held against what it has to keep; no engine is needed."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from offloop.stack import catalog
from offloop.stack.pools import STANDARD_POOLS
from offloop.stack.priorities import NICE_API, NICE_GENERATOR, NICE_WORKER
from offloop.stack.redis import embedded_redis
from offloop.stack.service import Service
from tests.compose.reading import (
    COMPOSE,
    DOCKERFILE,
    OURS,
    ROOT,
    SERVICES,
    STANDARD,
    base_image,
    command,
    options,
    usual,
)

#: An image by its exact version: at least two numbers, and no moving name.
EXACT = re.compile(r"[\w./-]+:v?\d+\.\d+\.\d+([.-][\w.]+)*")

#: The kernel's weights of niceness (sched_prio_to_weight in kernel/sched/core.c).
WEIGHTS = {0: 1024, 5: 335, 19: 15}

every_service = pytest.mark.parametrize("name", SERVICES)


def test_the_names_are_those_of_the_stack_without_containers() -> None:
    pools = {f"worker-{pool}" for pool in STANDARD_POOLS}
    assert {"naive", "fixed", "housekeeping", "redis", "prometheus", "grafana"} | pools <= set(
        STANDARD
    )


def test_a_gentle_load_on_both_sides_starts_with_the_rest() -> None:
    hosts = {options(command(name))["--host"] for name in STANDARD if "locust" in command(name)}

    assert hosts == {"http://naive:8000", "http://fixed:8000"}


def test_profiles_are_heavy_load_and_the_workshop() -> None:
    profiles = {name: service.get("profiles") for name, service in SERVICES.items()}

    assert {name: profile for name, profile in profiles.items() if profile} == {
        "load-master": ["heavy"],
        "load-worker": ["heavy"],
        "workshop": ["workshop"],
    }


def test_nobody_depends_on_what_may_be_left_out() -> None:
    assert not [
        name for name, service in STANDARD.items() if "grafana" in service.get("depends_on", {})
    ]


def test_the_file_is_of_the_specification_without_versions() -> None:
    assert "version" not in COMPOSE


@every_service
def test_an_image_is_ours_or_an_exact_version(name: str) -> None:
    if name not in OURS:
        assert EXACT.fullmatch(SERVICES[name]["image"])


def test_our_images_begin_with_an_exact_version_that_is_named_once() -> None:
    assert EXACT.fullmatch(base_image())
    images = re.findall(r"^FROM (\S+)(?: AS (\S+))?$", DOCKERFILE, re.MULTILINE)
    own = {name for _, name in images}
    assert {image for image, _ in images} - own == {"${PYTHON_IMAGE}"}


def test_an_image_is_named_once() -> None:
    text = (ROOT / "docker-compose.yml").read_text()

    for name in SERVICES.keys() - OURS.keys():
        assert text.count(SERVICES[name]["image"]) == 1


@every_service
def test_ports_are_on_loopback_only(name: str) -> None:
    for port in SERVICES[name].get("ports", ()):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", usual(port))


def test_no_two_services_want_the_same_port() -> None:
    ports = [usual(port) for service in SERVICES.values() for port in service.get("ports", ())]

    assert len({port.split(":")[1] for port in ports}) == len(ports)


@every_service
def test_every_service_has_a_health_check(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}


@every_service
def test_what_a_service_depends_on_has_to_be_healthy_first(name: str) -> None:
    conditions = SERVICES[name].get("depends_on", {})

    assert isinstance(conditions, dict)
    assert all(each == {"condition": "service_healthy"} for each in conditions.values())
    assert conditions.keys() <= SERVICES.keys()


def test_whoever_needs_the_broker_waits_for_it() -> None:
    for name, service in SERVICES.items():
        if "OFFLOOP_REDIS_URL" in service.get("environment", {}):
            assert "redis" in service["depends_on"], name


@every_service
def test_a_container_may_do_little(name: str) -> None:
    service = SERVICES[name]

    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")
    assert service["mem_limit"]
    assert service["pids_limit"]


def test_only_attendees_can_write_to_the_root_file_system_or_profile() -> None:
    assert {name for name, service in SERVICES.items() if not service["read_only"]} == {"workshop"}
    assert {name for name, service in SERVICES.items() if "cap_add" in service} == {"workshop"}


@every_service
def test_no_container_runs_as_root(name: str) -> None:
    if name in OURS:
        target = OURS[name]["build"]["target"]
        stage = DOCKERFILE.split(f" AS {target}\n")[1].split("\nFROM ")[0]
        assert re.findall(r"^USER (\S+)$", stage, re.MULTILINE)[-1] == "10001:10001"
    else:
        assert SERVICES[name]["user"].split(":")[0] not in {"0", "root"}


def test_a_service_that_is_scaled_has_no_name_or_port_of_its_own() -> None:
    for name in ("worker-short", "worker-long", "load-worker"):
        assert not {"container_name", "ports"} & SERVICES[name].keys()


def test_shares_of_the_processor_are_the_weights_of_the_niceness_without_containers() -> None:
    expected = {
        **dict.fromkeys(("naive", "fixed", "housekeeping"), NICE_API),
        **dict.fromkeys((f"worker-{pool}" for pool in STANDARD_POOLS), NICE_WORKER),
        **dict.fromkeys(("load-naive", "load-fixed", "load-master", "load-worker"), NICE_GENERATOR),
    }

    for name, nice in expected.items():
        assert SERVICES[name]["cpu_shares"] == WEIGHTS[nice], name
        assert SERVICES[name]["cpus"] == 1.0, name


def site() -> catalog.Site:
    return catalog.Site(root=ROOT, files=Path("files"), redis_url="redis://redis:6379/0")


@pytest.mark.parametrize("way", ["naive_app.reports", "fixed_app.reports"])
def test_an_app_has_the_server_that_it_has_without_containers(way: str) -> None:
    app = catalog.WAYS[way].app
    here = catalog.api(catalog.WAYS[way], site())
    there = list(command(catalog.WAYS[way].service))
    there.remove(app)
    elsewhere = {"--host": "0.0.0.0", "--port": "8000"}  # noqa: S104 - within a container

    assert app in here.command
    assert options(there) == {**options(here.command), **elsewhere}


@pytest.mark.parametrize("pool", STANDARD_POOLS)
def test_a_slot_is_what_it_is_without_containers(pool: str) -> None:
    here = catalog.worker(pool, 1, STANDARD_POOLS[pool], catalog.STANDARD_TIER, site())
    there = SERVICES[f"worker-{pool}"]
    # Without containers it has less time to stop.
    ours = {**options(here.command), "--worker-shutdown-timeout": "5500"}

    assert options(command(f"worker-{pool}")) == ours
    assert catalog.STANDARD_TIER in command(f"worker-{pool}")
    for name in ("dramatiq_queue_prefetch", "dramatiq_worker_timeout"):
        assert there["environment"][name] == here.env[name]


def test_the_broker_has_the_settings_of_the_embedded_one(tmp_path: Path) -> None:
    embedded: Service = embedded_redis(tmp_path, 6379)
    ours = options(command("redis"))
    # Where it listens and writes is up to the image; what fits, to the container.
    elsewhere = {"--port", "--bind", "--dir", "--daemonize"}

    assert {name: value for name, value in ours.items() if name != "--maxmemory"} == {
        name: value for name, value in options(embedded.command).items() if name not in elsewhere
    }


def scrape_configs() -> list[Mapping[str, Any]]:
    content = yaml.safe_load((ROOT / "dashboards" / "prometheus" / "prometheus.yml").read_text())
    return list(content["scrape_configs"])


def test_prometheus_looks_for_services_that_are_there() -> None:
    looked_for = {
        (name, discovery["port"])
        for config in scrape_configs()
        for discovery in config.get("dns_sd_configs", ())
        for name in discovery["names"]
    }

    assert {name for name, _ in looked_for} <= STANDARD.keys()
    assert looked_for == {
        (name, int(service["environment"]["OFFLOOP_METRICS_PORT"]))
        for name, service in STANDARD.items()
        if "OFFLOOP_METRICS_PORT" in service.get("environment", {})
    }


def test_clients_of_the_heavy_load_are_found_as_those_of_their_side() -> None:
    (alias,) = SERVICES["load-worker"]["networks"]["default"]["aliases"]
    host = options(command("load-master"))["--host"]

    assert f"http://{usual(alias).removeprefix('load-')}:8000" == host
    assert usual(alias) in STANDARD


def test_metrics_leave_a_container_only_where_it_is_asked_for() -> None:
    for name, service in SERVICES.items():
        environment = service.get("environment", {})
        if "OFFLOOP_METRICS_PORT" in environment:
            assert environment["OFFLOOP_METRICS_HOST"] == "0.0.0.0", name  # noqa: S104 - see above


def test_visitors_of_grafana_may_look_and_the_password_is_nowhere_in_the_file() -> None:
    environment = SERVICES["grafana"]["environment"]

    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    secret = Path(environment["GF_SECURITY_ADMIN_PASSWORD__FILE"]).name
    assert "GF_SECURITY_ADMIN_PASSWORD" not in environment
    assert SERVICES["grafana"]["secrets"] == [secret]
    file = COMPOSE["secrets"][secret]["file"]
    ignored = subprocess.run(["git", "check-ignore", "--quiet", file], cwd=ROOT, check=False)  # noqa: S607 - whichever git made the checkout
    assert ignored.returncode == 0


def test_what_is_mounted_is_there() -> None:
    for name, service in SERVICES.items():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("./") and name != "workshop":
                assert (ROOT / source).exists(), volume
            elif not source.startswith("./"):
                assert source in COMPOSE["volumes"], volume


def test_only_who_writes_reports_may_write_where_they_are() -> None:
    read_only = {
        name
        for name, service in SERVICES.items()
        if "fixed:/var/lib/offloop:ro" in service.get("volumes", ())
    }

    assert read_only == {"fixed"}


def test_the_data_set_is_made_from_exactly_the_modules_that_make_it() -> None:
    code = (
        "import json, sys, reports.dataset\n"
        "loaded = [each for name, each in sys.modules.items() if name.split('.')[0] == 'reports']\n"
        "print(json.dumps([each.__file__ for each in loaded]))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    stage = DOCKERFILE.split(" AS data\n")[1].split("\nFROM ")[0]

    assert sorted(re.findall(r"reports/\w+\.py", stage)) == sorted(
        str(Path(file).relative_to(ROOT)) for file in json.loads(loaded.stdout)
    )


def test_what_the_services_import_is_in_the_image() -> None:
    allowed = set((ROOT / ".dockerignore").read_text().splitlines())
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}

    assert {f"!{name}" for name in packages - {"tests", "benchmarks", "dashboards"}} <= allowed


def test_the_dev_container_is_a_stage_of_the_dockerfile() -> None:
    lines = (ROOT / ".devcontainer" / "devcontainer.json").read_text().splitlines()
    content = json.loads("\n".join(line for line in lines if not line.lstrip().startswith("//")))

    assert f" AS {content['build']['target']}\n" in DOCKERFILE
    assert (ROOT / ".devcontainer" / content["build"]["dockerfile"]).exists()

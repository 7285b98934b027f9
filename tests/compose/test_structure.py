"""docker-compose.yml agrees with the code and is safe to start; no engine is needed."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import yaml

from offloop.stack import catalog
from offloop.stack.pools import STANDARD_POOLS
from offloop.stack.priorities import NICE_API, NICE_GENERATOR, NICE_WORKER
from offloop.stack.redis import embedded_redis
from offloop.stack.service import Service
from offloop.telemetry.settings import HOST_VARIABLE, PORT_VARIABLE
from reports.settings import ReportSettings
from tests.compose.reading import COMPOSE, DOCKERFILE, OURS, ROOT, SERVICES, stage
from tests.shop import FIXED, NAIVE
from workers.settings import TierSettings

#: The kernel's weights of niceness (sched_prio_to_weight in kernel/sched/core.c).
WEIGHTS = {NICE_GENERATOR: 1024, NICE_API: 335, NICE_WORKER: 15}

#: Options that differ in containers: addresses, the time to stop, and the size of the container.
OWN_OPTIONS = {
    "naive": {"host", "port"},
    "fixed": {"host", "port"},
    "worker-short": {"worker-shutdown-timeout"},
    "worker-long": {"worker-shutdown-timeout"},
    "housekeeping": set(),
    "redis": {"bind", "port", "dir", "daemonize", "maxmemory"},
}

#: How the names of modules begin that services run.
MODULES = ("naive_app.", "fixed_app.", "workers.")

every_service = pytest.mark.parametrize("name", SERVICES)


@pytest.fixture
def lab(tmp_path: Path) -> Mapping[str, Service]:
    """The services as they are without containers."""
    site = catalog.Site(root=ROOT, files=tmp_path, redis_url="redis://redis:6379/0")
    services = (
        *(catalog.api(NAIVE, site), catalog.api(FIXED, site)),
        *catalog.workers(STANDARD_POOLS, catalog.STANDARD_TIER, site),
        *(catalog.housekeeping(site), embedded_redis(tmp_path, 6379)),
    )
    return {service.name.removesuffix("-1"): service for service in services}


def options(command: Sequence[str], modules: set[str]) -> set[str]:
    """The options of a command, such as "port 8000", without the modules that it runs."""
    text = " ".join(part for part in command if part not in modules)
    return {option.strip() for option in text.replace("=", " ").split(" --")[1:]}


def test_containers_are_the_services_of_the_lab(lab: Mapping[str, Service]) -> None:
    assert lab.keys() == OWN_OPTIONS.keys()
    for name, here in lab.items():
        there = SERVICES[name]
        command = [*there.get("entrypoint", ()), *there.get("command", ())]
        modules = {part for part in here.command if part.startswith(MODULES)}
        differing = options(command, modules) ^ options(here.command, modules)
        tuning = {key: value for key, value in here.env.items() if key.startswith("dramatiq_")}

        assert modules <= set(command)
        assert {option.split()[0] for option in differing} == OWN_OPTIONS[name]
        assert tuning.items() <= there.get("environment", {}).items()
        assert (there["cpu_shares"], there["cpus"]) == (WEIGHTS[here.nice], 1.0)
    loads = {SERVICES[name]["cpu_shares"] for name in SERVICES if name.startswith("load-")}
    assert loads == {WEIGHTS[NICE_GENERATOR]}


def test_the_code_reads_every_setting_of_a_container() -> None:
    fields = TierSettings.model_fields.keys() | ReportSettings.model_fields.keys()
    known = {PORT_VARIABLE, HOST_VARIABLE} | {f"OFFLOOP_{field.upper()}" for field in fields}

    used = set(re.findall(r"\bOFFLOOP_\w+(?==)", DOCKERFILE))
    used |= {name for service in OURS.values() for name in service.get("environment", ())}
    assert {name for name in used if name.startswith("OFFLOOP_")} <= known


def test_prometheus_scrapes_every_service_that_has_metrics() -> None:
    prometheus = yaml.safe_load((ROOT / "dashboards" / "prometheus" / "prometheus.yml").read_text())
    scraped = {
        (name, str(discovery["port"]))
        for config in prometheus["scrape_configs"]
        for discovery in config.get("dns_sd_configs", ())
        for name in discovery["names"]
    }

    assert scraped == {
        (name, service["environment"][PORT_VARIABLE])
        for name, service in SERVICES.items()
        if "profiles" not in service
        and service.get("environment", {}).get(HOST_VARIABLE) == "0.0.0.0"  # noqa: S104 - inside
    }


def test_images_have_exact_versions() -> None:
    bases = set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE))
    images = {SERVICES[name]["image"] for name in SERVICES.keys() - OURS.keys()}
    images |= set(re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", DOCKERFILE, re.MULTILINE))

    assert bases - stages == {"${PYTHON_IMAGE}"}
    for image in images:
        assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+([.-][\w.]+)*", image)


def test_each_port_is_published_once_and_on_loopback_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]

    expected = r"^127\.0\.0\.1:\$\{OFFLOOP_\w+_PORT:-(\d+)\}:\d+$"
    assert len(set(re.findall(expected, "\n".join(ports), re.MULTILINE))) == len(ports)


@every_service
def test_a_service_has_a_health_check_and_waits_for_healthy_dependencies(name: str) -> None:
    needed = SERVICES[name].get("depends_on", {})

    assert SERVICES[name]["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    assert all(each == {"condition": "service_healthy"} for each in needed.values())
    assert "redis" in needed or "OFFLOOP_REDIS_URL" not in SERVICES[name].get("environment", {})
    assert "grafana" not in needed, "make up WITHOUT=grafana"


@every_service
def test_a_container_has_few_rights_and_limited_resources(name: str) -> None:
    service = SERVICES[name]
    user = service.get("user")
    if user is None:
        *_, user = re.findall(r"^USER (\S+)$", stage(service["build"]["target"]), re.MULTILINE)

    assert user.split(":")[0] not in {"0", "root"}
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")
    assert service["mem_limit"]
    assert service["pids_limit"]
    if name != "workshop":  # its users write results and run a profiler
        assert service["read_only"]
        assert "cap_add" not in service


def test_anonymous_users_of_grafana_can_only_look_and_the_password_is_not_in_git() -> None:
    environment = SERVICES["grafana"]["environment"]
    secret = COMPOSE["secrets"][Path(environment["GF_SECURITY_ADMIN_PASSWORD__FILE"]).name]

    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert "GF_SECURITY_ADMIN_PASSWORD" not in environment
    ignored = ["git", "check-ignore", "--quiet", secret["file"]]
    subprocess.run(ignored, cwd=ROOT, check=True)


def test_the_data_stage_copies_exactly_the_modules_that_make_the_data_set() -> None:
    code = "import reports.dataset, sys; print(*(m for m in sys.modules if m[:8] == 'reports.'))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )

    copied = set(re.findall(r"reports/\w+\.py", stage("data"))) - {"reports/__init__.py"}
    assert copied == {f"{module.replace('.', '/')}.py" for module in done.stdout.split()}


def test_every_package_of_the_services_is_in_the_image() -> None:
    allowed = (ROOT / ".dockerignore").read_text().splitlines()
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}

    assert {f"!{name}" for name in packages - {"tests", "benchmarks", "dashboards"}} <= set(allowed)


def test_the_dev_container_is_a_stage_of_the_dockerfile() -> None:
    text = (ROOT / ".devcontainer" / "devcontainer.json").read_text()
    build = json.loads(re.sub(r"^ *//.*$", "", text, flags=re.MULTILINE))["build"]

    assert stage(build["target"])
    assert (ROOT / ".devcontainer" / build["dockerfile"]).exists()

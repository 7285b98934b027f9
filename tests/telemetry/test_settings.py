import pytest

from offloop.telemetry.settings import LogFormat, TelemetrySettings, WrongSettingError


def test_without_settings_no_metrics_are_served_and_the_format_is_automatic() -> None:
    assert TelemetrySettings.from_environment({}) == TelemetrySettings((), "127.0.0.1", None)


def test_settings_are_read_from_the_environment() -> None:
    environment = {
        "OFFLOOP_METRICS_PORT": "9100, 9101",
        "OFFLOOP_METRICS_HOST": "0.0.0.0",  # noqa: S104 - what containers set
        "OFFLOOP_LOG_FORMAT": "console",
    }

    settings = TelemetrySettings.from_environment(environment)

    assert settings.metrics_ports == (9100, 9101)
    assert settings.metrics_host == "0.0.0.0"  # noqa: S104
    assert settings.log_format is LogFormat.CONSOLE


def test_port_0_serves_nothing() -> None:
    assert TelemetrySettings.from_environment({"OFFLOOP_METRICS_PORT": "0"}).metrics_ports == ()


@pytest.mark.parametrize("port", ["http", "-1", "65536", "91 00"])
def test_an_invalid_port_is_refused_with_the_name_of_the_variable(port: str) -> None:
    with pytest.raises(WrongSettingError, match=r"OFFLOOP_METRICS_PORT is .* from 1 to 65535"):
        TelemetrySettings.from_environment({"OFFLOOP_METRICS_PORT": port})


def test_an_unknown_format_is_refused_with_the_known_ones() -> None:
    with pytest.raises(WrongSettingError, match=r"OFFLOOP_LOG_FORMAT is 'xml'.* json or console"):
        TelemetrySettings.from_environment({"OFFLOOP_LOG_FORMAT": "xml"})

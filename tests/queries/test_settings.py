"""Settings: a wrong value stops the start, naming the variable and what is accepted."""

import re
from pathlib import Path

import pytest

from queries.errors import SettingsError
from queries.settings import ROOT, Settings, environment_name, load_settings

WRONG = {
    "PORT": "99999",
    "REPORTING_ZONE": "Mars/Olympus",
    "DATABASE_URL": "mysql://user:word@host/name",
    "DIRECT_URL": "sqlite:///file",
    "REDIS_URL": "http://cache",
    "STATEMENT_TIMEOUT_S": "0",
    "SLOW_QUERY_MS": "soon",
    "CACHE_BYTES": "-1",
    "LOG_FORMAT": "xml",
    "USAGE_DASHBOARD_AUTH": "maybe",
    "DIGEST_WEBHOOK_URL": "http://hooks.example/word",
    "ALERT_WEBHOOK_URL": "hooks.example/word",
    "ALERT_EVERY_S": "59",
    "ALERT_MOST_PER_HOUR": "0",
    "CLOSE_GRACE_H": "-1",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_value_names_the_variable_and_not_itself(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, WRONG[name])
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert re.match(rf"{name} is not accepted: [a-z]", refused.value.message)
    assert "word" not in refused.value.message, "a secret was printed"


def test_every_wrong_value_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PORT", "REPORTING_ZONE"):
        monkeypatch.setenv(name, WRONG[name])
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert refused.value.message.count("is not accepted") == 2


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "")
    assert load_settings().database_url is None


def test_settings_are_frozen_and_hide_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:word@host/name")
    settings = load_settings()
    assert "word" not in repr(settings)
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1  # type: ignore[misc]


@pytest.mark.parametrize("accepted", ["https://hooks.example/word", "http://localhost:8/x", "http://[::1]:8/x"])
def test_a_webhook_is_https_or_on_this_machine(accepted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGEST_WEBHOOK_URL", accepted)
    kept = load_settings().digest_webhook_url
    assert kept is not None
    assert kept.get_secret_value() == accepted
    assert accepted not in repr(load_settings())


@pytest.mark.parametrize(
    "refused", ["https://", "http://localhost.evil.example", "file:///etc/passwd", "http://[", "x"]
)
def test_any_other_webhook_is_refused(refused: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGEST_WEBHOOK_URL", refused)
    with pytest.raises(SettingsError, match="DIGEST_WEBHOOK_URL is not accepted: an address that starts with https"):
        load_settings()


def test_the_data_folder_can_be_moved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert load_settings().data == ROOT / ".data"
    monkeypatch.setenv("USAGE_DASHBOARD_DATA", str(tmp_path))
    assert load_settings().data == tmp_path


def test_every_setting_has_its_sentence_and_is_in_the_documents() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, described in Settings.model_fields.items():
        assert described.description, f"{name} has no sentence"
        assert f"`{environment_name(name)}`" in readme, f"{environment_name(name)} is not in the README"

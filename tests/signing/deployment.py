"""The real program with sign-in, on a clone of the small demo: started as a production server is."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.running import Dashboard, free_port
from tests.signing.cookies import SECRET
from tests.signing.provider import CLIENT_ID, CLIENT_SECRET

STARTED_WITHIN_S = 60


@contextmanager
def deployed(
    reader_url: str, owner_url: str, metadata_url: str, *, admins: str = "admin@example.com", **more: str
) -> Iterator[Dashboard]:
    """One that people sign in to through the identity provider at `metadata_url`."""
    with tempfile.TemporaryDirectory(prefix="usage-dashboard-sign-in-") as folder:
        home, port = Path(folder), free_port()
        (home / ".streamlit").mkdir()
        (home / ".streamlit" / "secrets.toml").write_text(
            f'[auth]\nredirect_uri = "http://127.0.0.1:{port}/oauth2callback"\ncookie_secret = "{SECRET}"\n'
            f'client_id = "{CLIENT_ID}"\nclient_secret = "{CLIENT_SECRET}"\nserver_metadata_url = "{metadata_url}"\n'
        )
        environment = {
            "HOME": folder,
            "DATABASE_URL": reader_url,
            "DIRECT_URL": owner_url,
            "USAGE_DASHBOARD_AUTH": "oidc",
            "ADMIN_EMAILS": admins,
            "ADMIN_CONTACT": "Olga in Operations",
            "AGGREGATE_REFRESH_S": "0",
        }
        running = Dashboard(home / "data", port, **{**environment, **more})
        try:
            running.wait_ready(STARTED_WITHIN_S)
            yield running
        finally:
            running.stop()

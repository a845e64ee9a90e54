"""Run one program so that it ends when our parent does: `python -I -S launch.py JSON PROGRAM ARGUMENT...`.

A program of its own, standard library only, because the order matters and nothing of it may run between fork and exec:
a change of credentials clears the parent-death signal, so privileges are dropped first, the signal is set next, and the
parent is looked for last (it may have died before the signal was set). The JSON object holds

- `parent`: process id that must be our parent, `signal`: what the kernel sends when it dies
- `uid`, `gid`: whom to become when we are root (null: nobody else)
- `reach`: paths that the program must be able to use (executable file, readable folder)
- `watch`: stay as a watcher instead, for systems without a parent-death signal (macOS)

When a path cannot be reached by the unprivileged user (a folder above it is closed), the program keeps one capability,
to read past closed folders, and nothing else; no folder's mode is changed. Exit code 78: not started, standard error
says why.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

NOT_STARTED = 78
POLL_S = 0.2

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_SET_SECUREBITS = 28
SECBIT_NO_SETUID_FIXUP = 1 << 2
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2
CAP_SETPCAP = 8
# Tried in this order: the first that makes every path usable is all that is kept.
CANDIDATES: tuple[frozenset[int], ...] = (
    frozenset(),
    frozenset({CAP_DAC_READ_SEARCH}),
    frozenset({CAP_DAC_OVERRIDE}),
)


class NotStartedError(Exception):
    """The program cannot be run; the text says what and how to mend it."""


class CapabilityHeader(ctypes.Structure):
    """The kernel's `__user_cap_header_struct`."""

    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class CapabilitySets(ctypes.Structure):
    """The kernel's `__user_cap_data_struct`, of which a call passes two (capabilities 0 to 31, 32 to 63)."""

    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def kernel_call(name: str, *arguments: object) -> None:
    """Call a function of the C library that answers 0; OSError otherwise."""
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def prctl(option: int, *arguments: int) -> None:
    """`prctl(2)` with its unused arguments as 0; OSError when the kernel refuses."""
    padded = (*arguments, 0, 0, 0, 0)[:4]
    kernel_call("prctl", ctypes.c_int(option), *(ctypes.c_ulong(value) for value in padded))


def permitted_mask() -> int:
    """The capabilities 0 to 31 that this process may use, as a bit mask."""
    header, sets = CapabilityHeader(CAPABILITY_VERSION_3, 0), (CapabilitySets * 2)()
    kernel_call("capget", ctypes.byref(header), ctypes.byref(sets))
    return int(sets[0].permitted)


def set_capabilities(usable: int, permitted: int) -> None:
    """Make the mask `usable` effective and inheritable, and keep `permitted` in reserve."""
    header, sets = CapabilityHeader(CAPABILITY_VERSION_3, 0), (CapabilitySets * 2)()
    sets[0] = CapabilitySets(usable, permitted, usable)
    kernel_call("capset", ctypes.byref(header), ctypes.byref(sets))


def mask_of(capabilities: frozenset[int]) -> int:
    """A set of capability numbers as the kernel's bit mask."""
    return sum(1 << number for number in capabilities)


def is_usable(path: str, capabilities: frozenset[int]) -> bool:
    """Whether this process may search or execute `path`, judged with the capabilities that are effective now.

    `access(2)` leaves capabilities out for a user other than root, hence the look at the mode.
    """
    try:
        status = os.stat(path)
        if os.path.isdir(path):
            os.listdir(path)
    except OSError:
        return False
    if CAP_DAC_OVERRIDE in capabilities:
        return True
    if os.path.isdir(path) and CAP_DAC_READ_SEARCH in capabilities:
        return True
    shift = 6 if status.st_uid == os.geteuid() else 3 if status.st_gid == os.getegid() else 0
    return bool((status.st_mode >> shift) & 1)


def keep_least_capability(reach: Sequence[str]) -> None:
    """Keep, across exec, the least capability with which every path of `reach` is usable; usually none."""
    reserve = permitted_mask()
    for capabilities in CANDIDATES:
        mask = mask_of(capabilities)
        if mask & ~reserve:
            continue
        set_capabilities(mask, reserve)
        if all(is_usable(path, capabilities) for path in reach):
            keep_across_exec(mask, reserve, capabilities)
            return
    raise NotStartedError(unreachable([path for path in reach if not is_usable(path, frozenset())]))


def keep_across_exec(mask: int, reserve: int, capabilities: frozenset[int]) -> None:
    """Give up all capabilities but these, which the program and its children inherit."""
    if capabilities:
        # PostgreSQL looks for its own files with access(2), which without this bit leaves capabilities out.
        set_capabilities(mask | 1 << CAP_SETPCAP, reserve)
        prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)
    set_capabilities(mask, mask)
    for number in capabilities:
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number)


def unreachable(paths: Sequence[str]) -> str:
    """What to say when the unprivileged user cannot use these paths."""
    return (
        f"PostgreSQL does not run as root, and user id {os.geteuid()} cannot reach {', '.join(paths)}; "
        "run this program as a normal user, or set USAGE_DASHBOARD_DATA to a readable place "
        "and put the checkout in one"
    )


def become(uid: int, gid: int, reach: Sequence[str]) -> None:
    """Give up root for good; only what `reach` needs is kept."""
    try:
        if sys.platform == "linux":
            prctl(PR_SET_KEEPCAPS, 1)
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    except OSError as error:
        raise NotStartedError(
            f"PostgreSQL does not run as root, and becoming user id {uid} failed ({error}); "
            "run this program as a normal user"
        ) from error
    if sys.platform == "linux":
        try:
            keep_least_capability(reach)
        except OSError as error:
            raise NotStartedError(f"{unreachable(reach)} ({error})") from error
    elif missing := [path for path in reach if not is_usable(path, frozenset())]:
        raise NotStartedError(unreachable(missing))


def run_watched(program: Sequence[str], parent: int, parent_died: int) -> int:
    """Run `program` as a child, pass signals on, and signal it when the parent is gone. Answers its exit code."""
    received: list[int] = []
    # Before the child is there, so that a signal at any moment reaches it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, lambda caught, _frame: received.append(caught))
    child = subprocess.Popen(program)  # noqa: S603 - our own command line
    told = False
    while (code := child.poll()) is None:
        while received:
            child.send_signal(received.pop(0))
        if not told and os.getppid() != parent:
            child.send_signal(parent_died)
            told = True
        time.sleep(POLL_S)
    return code


def main(arguments: Sequence[str]) -> int:
    """Follow the orders of the JSON object; returns only as a watcher, otherwise it becomes the program."""
    orders, program = json.loads(arguments[0]), list(arguments[1:])
    os.umask(0o077)
    if orders["uid"] is not None:
        become(orders["uid"], orders["gid"], orders["reach"])
    if orders["watch"]:
        return run_watched(program, orders["parent"], orders["signal"])
    prctl(PR_SET_PDEATHSIG, orders["signal"])
    if os.getppid() != orders["parent"]:
        raise NotStartedError("the parent process ended before the program started")
    return os.execv(program[0], program)  # noqa: S606 - replacing ourselves is the purpose


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (NotStartedError, OSError) as failure:
        sys.stderr.write(f"launch: {failure}\n")
        sys.exit(NOT_STARTED)

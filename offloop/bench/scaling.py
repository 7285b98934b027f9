"""Giving a pool more or fewer slots for a while."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from offloop.bench.stage import Setting
from offloop.stack import catalog
from offloop.stack.service import Service


def scale(setting: Setting, name: str, slots: int) -> Sequence[Service]:
    """Start or stop slots of a pool; return those, once they are ready or have ended.

    Args:
        setting: The services of an arm.
        name: Of the pool.
        slots: That it is to have.

    Raises:
        StackError: one did not start, or did not end.
    """
    pool = setting.pools[name]
    numbers = range(min(pool.slots, slots) + 1, max(pool.slots, slots) + 1)
    if slots < pool.slots:
        names = {f"worker-{name}-{number}" for number in numbers}
        changed = [service for service in setting.workers if service.name in names]
        setting.stack.stop(*(service.name for service in changed))
    else:
        changed = [
            catalog.worker(name, number, pool=pool, tier=setting.arm.tier, site=setting.site)
            for number in numbers
        ]
        setting.stack.start(*changed)
    return changed


def undo(setting: Setting, changed: Sequence[Service]) -> None:
    """Give back the slots that there were before `scale` has changed these.

    Raises:
        StackError: one did not start, or did not end.
    """
    known = {service.name for service in setting.services}
    for service in changed:
        if service.name in known:
            setting.stack.start(service)
        else:
            setting.stack.stop(service.name)


@contextmanager
def scaled(setting: Setting, name: str, slots: int) -> Iterator[None]:
    """Have a pool with so many slots meanwhile.

    Raises:
        StackError: one did not start, or did not end.
    """
    changed = scale(setting, name, slots)
    try:
        yield
    finally:
        undo(setting, changed)

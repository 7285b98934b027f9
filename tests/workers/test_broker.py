"""What every slot does before it takes messages."""

import gc

import dramatiq
from dramatiq.brokers.stub import StubBroker

from workers.broker import FrozenStart


def test_what_a_slot_has_loaded_is_out_of_its_garbage_collections() -> None:
    broker = StubBroker(middleware=[FrozenStart()])
    worker = dramatiq.Worker(broker, worker_threads=1)
    frozen = gc.get_freeze_count()

    worker.start()
    try:
        assert gc.get_freeze_count() > frozen + 10_000
    finally:
        worker.stop()
        gc.unfreeze()

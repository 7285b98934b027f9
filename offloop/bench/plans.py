"""From an experiment's load to what the generator is to send: pure functions."""

from collections.abc import Iterable, Iterator, Mapping

from offloop.bench.experiment import Load
from offloop.bench.streams import OrderStream, RequestStream, again
from offloop.load.arrivals import due_times
from offloop.load.plan import Plan, Stream


def block_plan(  # noqa: PLR0913 - each is one independent fact about the load
    load: Load,
    names: Iterable[str],
    url: str,
    rates: Mapping[str, float],
    seed: int,
    duration_s: float,
) -> Plan:
    """Lay out what one arm gets in one block.

    The schedule depends on the seed and not on the arm, so that all arms of a block get the
    same load.

    Args:
        load: Says what is sent.
        names: The streams that this arm gets.
        url: Where to send it.
        rates: For each stream of orders among them that has a rate, the orders per second.
        seed: The block's.
        duration_s: Length of the load, seconds.
    """

    def lay_out(name: str) -> Iterator[Stream]:
        seeded = f"{seed}/{name}"
        match load.streams[name]:
            case RequestStream(request=request, arrivals=arrivals, clients=clients) as plain:
                method, path = request.split(" ")
                lasts_s = min(duration_s, plain.until_s or duration_s)
                due_s = due_times(arrivals, lasts_s, seeded)
                yield Stream(
                    name=name,
                    method=method,
                    path=path,
                    base_url=url,
                    due_s=due_s,
                    clients=clients,
                )
            case OrderStream(order=order) as stream:
                ordered = Stream(
                    name=name,
                    method="POST",
                    path="/reports",
                    base_url=url,
                    body=order.model_dump(mode="json"),
                    due_s=stream.due_times(rates.get(name), duration_s, seeded),
                    follow=True,
                    retry_refused=stream.retry_refused,
                    keys=None if stream.repeat_after_s is None else name,
                )
                yield ordered
                if stream.repeat_after_s is not None:
                    yield _again(ordered, stream.repeat_after_s, duration_s)

    return Plan(
        streams=[stream for name in names for stream in lay_out(name)],
        duration_s=duration_s,
        drain_s=load.drain_s,
        seed=seed,
    )


def _again(ordered: Stream, after_s: float, duration_s: float) -> Stream:
    """Lay out the same orders, each sent once more, as far as the load lasts.

    The report is followed once: one customer wants it once.
    """
    due_s = [due_s + after_s for due_s in ordered.due_s if due_s + after_s < duration_s]
    return ordered.model_copy(update={"name": again(ordered.name), "due_s": due_s, "follow": False})

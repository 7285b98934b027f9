"""From an experiment's load to what the generator is to send: pure functions."""

from collections.abc import Iterable, Mapping

from offloop.bench.experiment import Load
from offloop.bench.streams import OrderStream, RequestStream
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
        rates: For each stream of orders among them, the orders per second.
        seed: The block's.
        duration_s: Length of the load, seconds.
    """

    def lay_out(name: str) -> Stream:
        seeded = f"{seed}/{name}"
        match load.streams[name]:
            case RequestStream(request=request, arrivals=arrivals):
                method, path = request.split(" ")
                due_s = due_times(arrivals, duration_s, seeded)
                return Stream(name=name, method=method, path=path, base_url=url, due_s=due_s)
            case OrderStream(order=order) as stream:
                return Stream(
                    name=name,
                    method="POST",
                    path="/reports",
                    base_url=url,
                    body=order.model_dump(mode="json"),
                    due_s=stream.due_times(rates[name], duration_s, seeded),
                    follow=True,
                )

    return Plan(
        streams=[lay_out(name) for name in names],
        duration_s=duration_s,
        drain_s=load.drain_s,
        seed=seed,
    )

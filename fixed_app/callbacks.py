"""Callbacks leave for allowed hosts only; an order that asks for another one is refused."""

from typing import Annotated

from fastapi import Depends

from fixed_app.dependencies import Store
from web.orders import ReportOrder
from web.problems import ProblemError
from workers.callbacks import callback_allowed


async def allowed_order(order: ReportOrder, store: Store) -> ReportOrder:
    """Return the order, before anything is accepted.

    Raises:
        ProblemError: 422, its callback would leave for a host that is not allowed.
    """
    hosts = store.settings.callback_hosts
    if order.callback_url is not None and not callback_allowed(order.callback_url, hosts):
        raise ProblemError(
            422,
            "callback-not-allowed",
            "Callbacks to this host are not allowed",
            "The host and port of callback_url must be among those that the operators of this "
            "service list in OFFLOOP_CALLBACK_HOSTS. Ask them, or leave callback_url out.",
        )
    return order


AllowedOrder = Annotated[ReportOrder, Depends(allowed_order)]

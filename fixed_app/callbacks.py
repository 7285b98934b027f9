"""Callbacks leave for allowed hosts only; an order that asks for another one is refused."""

from web.orders import ReportOrder
from web.problems import ProblemError
from workers.callbacks import callback_allowed
from workers.settings import TierSettings


def allowed_callback(order: ReportOrder, settings: TierSettings) -> str | None:
    """Return where the callback of an order is to go, if it wants one.

    Raises:
        ProblemError: 422, callbacks must not go there.
    """
    url = order.callback_url
    if url is None or callback_allowed(url, settings.callback_hosts):
        return url
    raise ProblemError(
        422,
        "callback-not-allowed",
        "Callbacks to this host are not allowed",
        "The host and port of callback_url must be among those that the operators of this service "
        "list in OFFLOOP_CALLBACK_HOSTS. Ask them, or leave callback_url out.",
    )

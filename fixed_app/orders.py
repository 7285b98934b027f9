"""What a client orders, with everything that it may say beside the report itself."""

from typing import Annotated, NamedTuple

from fastapi import Depends

from fixed_app.callbacks import allowed_callback
from fixed_app.dependencies import Store
from fixed_app.idempotency import IdempotencyKey
from reports.spec import ReportSpec
from web.orders import ReportOrder


class Ordered(NamedTuple):
    """An order that may be accepted.

    Attributes:
        spec: The report.
        key: Its `Idempotency-Key`, if it has one.
        callback_url: Where to send a notice when the report is finished, if anywhere.
    """

    spec: ReportSpec
    key: str | None
    callback_url: str | None


async def _ordered(order: ReportOrder, key: IdempotencyKey, store: Store) -> Ordered:
    return Ordered(order.spec, key, allowed_callback(order, store.settings))


Order = Annotated[Ordered, Depends(_ordered)]

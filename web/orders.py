"""What a customer sends to order a report: the spec, and where to say that it is finished."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError, Url

from reports.spec import ReportSpec

#: Characters; what every server and proxy can be trusted to take.
MAX_URL_LENGTH = 2_000

#: An http or https URL in the characters of RFC 3986 alone, with neither user nor fragment.
#: Strict, so that every URL parser finds the same host in it.
_URL = re.compile(
    r"https?://([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?"
    r"([/?]([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?"
)


def _callback_url(value: str) -> str:
    if len(value) > MAX_URL_LENGTH or not _URL.fullmatch(value):
        raise PydanticCustomError(
            "callback_url",
            "must be an http or https URL of at most {limit} characters, spelled as RFC 3986 says, "
            "with neither user nor fragment, such as https://shop.example/hooks/reports",
            {"limit": MAX_URL_LENGTH},
        )
    try:
        Url(value)
    except ValueError as error:
        raise PydanticCustomError(
            "callback_address",
            "must name a host and a port such as there can be: ports end at 65535, and addresses "
            "are written 192.0.2.7 or [2001:db8::7]",
        ) from error
    return value


CallbackUrl = Annotated[
    str,
    AfterValidator(_callback_url),
    WithJsonSchema({"type": "string", "maxLength": MAX_URL_LENGTH, "pattern": f"^{_URL.pattern}$"}),
]


class ReportOrder(ReportSpec):
    """A report, and whom to tell when it is finished."""

    callback_url: CallbackUrl | None = Field(
        default=None,
        description="Where to send a signed notice when the report is finished. Only an app that "
        "answers 202 sends any; one that answers 201 with the report itself has nothing left to "
        "say, and ignores it.",
    )

    @property
    def spec(self) -> ReportSpec:
        """The report to build: the order without its callback."""
        return ReportSpec(
            shipped_from=self.shipped_from, shipped_to=self.shipped_to, format=self.format
        )

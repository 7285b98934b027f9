"""The `Idempotency-Key` header (draft-ietf-httpapi-idempotency-key-header)."""

import re
from typing import Annotated

from fastapi import Depends, Header
from pydantic import WithJsonSchema

from web.problems import ProblemError

#: The draft asks for a string in quotes; most clients leave them out, and mean the same.
_KEY = re.compile(r'"([\x20-\x21\x23-\x5b\x5d-\x7e]{1,255})"|([\x21\x23-\x7e]{1,255})')

# Only documented: a schema would refuse with 422, and the draft wants 400.
_Key = Annotated[str, WithJsonSchema({"type": "string", "pattern": f"^({_KEY.pattern})$"})]


async def idempotency_key(
    header: Annotated[_Key | None, Header(alias="Idempotency-Key")] = None,
) -> str | None:
    """Return the key that a request came with, without its quotes; None without one.

    Raises:
        ProblemError: 400, what the header holds is no key.
    """
    if header is None:
        return None
    match = _KEY.fullmatch(header.strip())
    if match is None:
        raise ProblemError(
            400,
            "idempotency-key-malformed",
            "The Idempotency-Key is malformed",
            'It is 1 to 255 printable ASCII characters, in quotes: "8e03978e-40d5".',
        )
    quoted, bare = match.groups()
    return quoted or bare


IdempotencyKey = Annotated[str | None, Depends(idempotency_key)]

"""How answers are written: as the documents of `wire.control`, each saying so where the factory is for one person."""

from typing import Any

import msgspec
from litestar import Response
from litestar.types import HTTPScope, Message, Scope

from muster.wire.control import Answer

SOLO_HEADER = (b"muster-solo", b"true")


def response_class(*, solo: bool) -> type[Response[Any]]:
    """The class that writes every answer of a factory.

    Args:
        solo: whether the factory is for one person.
    """

    class FactoryResponse(Response[Any]):
        def render(self, content: Any, media_type: str, enc_hook: Any = None) -> bytes:
            if isinstance(content, Answer) and solo:
                content = msgspec.structs.replace(content, solo=True)
            return super().render(content, media_type, enc_hook)

    return FactoryResponse


async def say_solo(message: Message, scope: Scope | HTTPScope) -> None:  # noqa: ARG001 - the framework's signature
    """Put the header `Muster-Solo: true` on an answer, whatever it is."""
    if message["type"] == "http.response.start":
        message["headers"] = [*message["headers"], SOLO_HEADER]

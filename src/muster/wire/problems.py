"""Errors of the control API: problem details (RFC 9457, `application/problem+json`)."""

import re
from typing import Any

import msgspec

from muster.vocabulary.errors import FAMILIES, MusterError, family_of

MEDIA_TYPE = "application/problem+json"
#: What `type` begins with; the error's code follows. A name, not an address: docs/reference/errors.md explains it.
TYPE_PREFIX = "urn:muster:problem:"
#: The family of an error that is no error of Muster's: a fault inside.
INTERNAL = "internal"


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One error, for programs and people.

    `code` is stable and names the entry in docs/reference/errors.md; `facts` holds the values that `detail` mentions.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    family: str
    advice: str = ""
    facts: dict[str, Any] = {}
    instance: str = ""
    solo: bool = False
    """True in a factory for one person, as in every answer of it."""


def family_name(family: type[MusterError]) -> str:
    """A family as documents write it: `not-found`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", family.__name__).lower()


#: Every family by the name that documents give it.
FAMILY_NAMES: dict[str, type[MusterError]] = {family_name(family): family for family in FAMILIES}


def problem_of(error: MusterError, *, status: int, title: str, instance: str = "") -> Problem:
    """The problem document of an error.

    Args:
        error: what went wrong.
        status: HTTP status of its family; only a door knows it.
        title: short and the same for every error of the family.
        instance: which call it was.
    """
    family = family_of(error)
    return Problem(
        type=TYPE_PREFIX + error.code,
        title=title,
        status=status,
        detail=error.message,
        code=error.code,
        family=family_name(family) if family is not MusterError else INTERNAL,
        advice=error.advice,
        facts=jsonable(error.facts),
        instance=instance,
    )


def jsonable(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts with whatever JSON cannot hold written as text: telling of an error must not be a second one."""
    return {str(name): _jsonable(value) for name, value in facts.items()}


def _jsonable(value: Any) -> Any:
    try:
        return msgspec.json.decode(msgspec.json.encode(value, enc_hook=str))
    except (TypeError, ValueError, RecursionError):
        return str(value)

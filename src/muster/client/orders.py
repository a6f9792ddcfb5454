"""Orders made of arguments: what the factory would not take is refused before it is sent."""

import ast
import math
import re
from datetime import datetime
from typing import Any, TypeVar, get_args

import msgspec

from muster.client.errors import OrderMalformed
from muster.vocabulary.clock import rfc3339
from muster.wire import catalogue, control, governance, people, reports

Order = TypeVar("Order", bound=control.Order)
_SCHEMA_ERROR = re.compile(r"(?P<asked>.*) - at `\$\.?(?P<field>.*)`", re.DOTALL)
_PATTERN, _LENGTH = "Expected `str` matching regex ", "Expected `str` of length "


def _pattern(kind: Any) -> str:
    """That of a kind of text."""
    (pattern,) = (one.pattern for one in get_args(kind)[1:] if getattr(one, "pattern", None))
    return str(pattern)


#: What the patterns of orders ask for, in words.
_WORDS = {
    _pattern(control.NameText): "a name: 1 to 63 lower-case letters, digits and hyphens, beginning with a letter",
    _pattern(control.EndpointPattern): "the name of an endpoint, or `*` for all",
    _pattern(control.VersionText): "a version, such as churn:3",
    _pattern(control.MomentText): "a moment with its offset, such as 2027-01-31T18:00:00Z",
    _pattern(control.ReasonText): "text without control characters",
    _pattern(people.LineText): "one line without control characters",
    _pattern(people.RightText): "the name of a right, such as read",
    _pattern(governance.CheckText): "the name of a check or a requirement, such as one-row-latency",
    _pattern(reports.RubricTest): "a test of the ML Test Score, such as data-3",
    _pattern(reports.PlaceText): "one line without control characters",
    _pattern(catalogue.TagKey): "the key of a tag: without blanks and `=`",
}


def order_of(kind: type[Order], /, **fields: Any) -> Order:
    """The order, if its fields are what the factory would take.

    Raises:
        OrderMalformed: one is not.
    """
    for name, value in fields.items():
        _check_finite(name, value)
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise OrderMalformed(_told(str(error), fields)) from error


def moment(given: datetime | str | None) -> str | None:
    """A moment as orders have it."""
    return rfc3339(given) if isinstance(given, datetime) else given


def _told(error: str, fields: dict[str, Any]) -> str:
    """What is wrong with which field, without the words of schemas."""
    found = _SCHEMA_ERROR.fullmatch(error)
    if found is None:
        return error
    asked, field = found["asked"], found["field"]
    given = fields.get(field)
    shown = repr(given[:60]) + ("…" if len(given) > 60 else "") if isinstance(given, str) else repr(given)
    if asked.startswith(_PATTERN):
        pattern = ast.literal_eval(asked.removeprefix(_PATTERN))
        # What has no words here may be a secret.
        asked = f"{shown} is not {_WORDS[pattern]}" if pattern in _WORDS else f"it does not match {pattern}"
    elif asked.startswith(_LENGTH):
        sign, bound = asked.removeprefix(_LENGTH).split(" ")
        asked = "it must not be empty" if (sign, bound) == (">=", "1") else f"its length has to be {sign} {bound}"
    elif field in fields and "got" not in asked:
        asked = f"{asked}, got {shown}"
    return f"{field}: {asked}"


def _check_finite(name: str, value: Any) -> None:
    """JSON has no word for NaN and infinity: they would arrive as null, which means the default."""
    if isinstance(value, float) and not math.isfinite(value):
        raise OrderMalformed(f"{name} is {value}, and no finite number", field=name)
    inner = msgspec.structs.asdict(value) if isinstance(value, msgspec.Struct) else value
    if isinstance(inner, dict):
        for key, held in inner.items():
            _check_finite(f"{name}.{key}", held)
    elif isinstance(inner, list | tuple):
        for held in inner:
            _check_finite(name, held)

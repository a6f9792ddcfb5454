"""Names of projects, models, endpoints and users; and `churn:3`, the name of a version."""

import re
from dataclasses import dataclass

from muster.vocabulary.errors import Invalid

DEFAULT_PROJECT = "default"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")


class NameMalformed(Invalid):
    """A name breaks the rule `[a-z][a-z0-9-]{0,62}`, or a version is not written `model:number`."""

    code = "names.malformed"
    advice = "Names are 1 to 63 lower-case letters, digits and hyphens, and begin with a letter: `churn`, `credit-2`."


def is_name(text: str) -> bool:
    """Whether a text is a name."""
    return _NAME.fullmatch(text) is not None


def checked_name(name: str, *, of: str) -> str:
    """The name, if it is one.

    Args:
        name: what somebody called a thing.
        of: the kind of thing (`model`, `endpoint`, `user`, `project`), for the message.

    Raises:
        NameMalformed: it breaks the rule.
    """
    if not is_name(name):
        raise NameMalformed(f"{name!r} is not a name for a {of}", name=name, of=of)
    return name


@dataclass(frozen=True, slots=True, order=True)
class VersionName:
    """A version as people write it: `churn:3`."""

    model: str
    number: int

    @classmethod
    def parse(cls, text: str) -> "VersionName":
        """Read `model:number`.

        Raises:
            NameMalformed: it is not of that form, or the number is not a positive whole number.
        """
        model, colon, number = text.partition(":")
        if not colon or re.fullmatch(r"[1-9][0-9]{0,8}", number) is None:
            raise NameMalformed(
                f"{text!r} is not a version; a version is written like churn:3", name=text, of="version"
            )
        return cls(checked_name(model, of="model"), int(number))

    def __str__(self) -> str:
        return f"{self.model}:{self.number}"

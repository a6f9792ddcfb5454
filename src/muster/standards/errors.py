"""What can go wrong with standards, and with what they ask for."""

from muster.vocabulary.errors import Conflict, Invalid, NotFound, Refused


class StandardMalformed(Invalid):
    """The document is no standard: it cannot be read, has a key that there is not, or contradicts itself."""

    code = "standards.malformed"
    advice = (
        "docs/reference/standards.md describes every key; `muster standard show regulated` prints one that is ready."
    )


class StandardNotFound(NotFound):
    """The project has no standard of this number, or there is no ready one of this name."""

    code = "standards.not-found"
    advice = "`muster standard list` shows the project's; exploration, internal and regulated are ready ones."


class StandardStateUnfit(Conflict):
    """The standard was decided already: only a proposed one can be approved or rejected."""

    code = "standards.state-unfit"
    advice = "`muster standard list` shows which is in force; propose a new one to change it."


class StandardUnattainable(Refused):
    """With the people that the project has now, nobody could ever change the standard again: the project would be locked."""

    code = "standards.unattainable"
    advice = "Ask for fewer approvals in [gates.standard], or give more people the roles that it names."


class StandardExpired(Refused):
    """The proposal is older than the standard in force lets a proposal be."""

    code = "standards.proposal-expired"
    advice = "Propose it anew."


class StandardNotMet(Refused):
    """By the project's standard something is missing; every finding is in the facts, with its remedy."""

    code = "standards.not-met"
    advice = "Mend what is named, or ask for a waiver: `muster waive ask VERSION NAME --until MOMENT --reason TEXT`."


class Frozen(Refused):
    """The project's standard lets nothing go live now: a freeze window."""

    code = "standards.frozen"
    advice = "Approve it for a moment after the window, `--at MOMENT`; in need, an operator can break the glass."


class CheckMalformed(Invalid):
    """What was given is no program that could be a check: it is empty, too long, or no Python."""

    code = "standards.check-malformed"
    advice = "docs/reference/own-checks.md describes what a check is; `muster own-check try DIR --program FILE` runs it in the lab."


class CheckNotFound(NotFound):
    """The project has no check with this program."""

    code = "standards.check-not-found"
    advice = "`muster own-check list` shows the project's; `muster own-check add NAME FILE --reason TEXT` adds one."

"""Policies on the command line: from options to what is proposed, and from what a release has to words."""

from collections.abc import Callable, Iterable
from typing import Any

import click

from muster.cli.numbers import FiniteRange, finite
from muster.cli.output import percent
from muster.vocabulary.names import NameMalformed, VersionName
from muster.wire import control
from muster.wire.plans import FirstPolicy, PlannedPolicy, SplitPolicy, VotePolicy, WeightedPolicy

Command = Callable[..., Any]
AnyOrder = control.FirstOrder | control.VoteOrder | control.WeightedOrder | control.SplitOrder

#: The options that a policy takes beside its name, and those that it cannot do without.
_TAKES: dict[str, frozenset[str]] = {
    "first": frozenset(),
    "vote": frozenset({"on", "wait_ms"}),
    "weighted": frozenset({"weight", "average", "argmax", "wait_ms"}),
    "split": frozenset({"by", "step", "salt"}),
}
_NEEDS: dict[str, tuple[str, ...]] = {
    "first": (),
    "vote": ("on",),
    "weighted": ("weight", "average"),
    "split": ("by", "step"),
}


def version_and_number(text: Any) -> tuple[str, float]:
    """`churn:3=0.7`; used as the `type` of an option."""
    version, _, number = str(text).strip().rpartition("=")
    try:
        return str(VersionName.parse(version.strip())), finite(number)
    except (ValueError, NameMalformed) as error:
        raise click.BadParameter(f"{text!r} is not VERSION=NUMBER, like churn:3=0.7, with a finite number") from error


def versions_and_numbers(text: Any) -> dict[str, float]:
    """`churn:3=0.95,churn:4=0.05`; used as the `type` of an option."""
    return by_version(version_and_number(part) for part in str(text).split(","))


def output_and_source(text: Any) -> tuple[str, str]:
    """`label=probability`; used as the `type` of an option."""
    output, equals, source = str(text).partition("=")
    if not equals or not output.strip() or not source.strip():
        raise click.BadParameter(f"{text!r} is not OUTPUT=PROBABILITIES, like label=probability")
    return output.strip(), source.strip()


def by_version(pairs: Iterable[tuple[str, float]]) -> dict[str, float]:
    """One number per version.

    Raises:
        BadParameter: a version is named twice.
    """
    found: dict[str, float] = {}
    for version, number in pairs:
        if version in found:
            raise click.BadParameter(f"{version} is named twice")
        found[version] = number
    return found


def policy_options(command: Command) -> Command:
    """Give a command the options of all policies."""
    options = (
        click.option(
            "--policy",
            type=click.Choice(list(_TAKES)),
            default="first",
            show_default=True,
            help="The first of the order that answers, a vote, a weighted mean, or a split of the units among versions.",
        ),
        click.option("--on", metavar="OUTPUT", help="vote: the output that is voted on."),
        click.option(
            "--wait-ms",
            type=FiniteRange(min=0, min_open=True),
            metavar="MS",
            help="vote, weighted: how long all are waited for; else 60 % of the deadline.",
        ),
        click.option(
            "--weight",
            multiple=True,
            type=version_and_number,
            metavar="VERSION=NUMBER",
            help="weighted: how much a version counts; may be repeated.",
        ),
        click.option(
            "--average", multiple=True, metavar="OUTPUT", help="weighted: an output to average; may be repeated."
        ),
        click.option(
            "--argmax",
            multiple=True,
            type=output_and_source,
            metavar="OUTPUT=PROBABILITIES",
            help="weighted: an output that is the label of the greatest averaged probability; may be repeated.",
        ),
        click.option("--by", metavar="INPUT", help="split: the input whose values are the units."),
        click.option(
            "--step",
            multiple=True,
            type=versions_and_numbers,
            metavar="VERSION=SHARE,…",
            help="split: who answers which share; repeated, the steps of a ramp.",
        ),
        click.option("--salt", metavar="TEXT", help="split: another salt assigns other units."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def policy_of(policy: str, **given: Any) -> AnyOrder:
    """What the options say.

    Raises:
        UsageError: an option is missing, or belongs to another policy.
    """
    said = {name for name, value in given.items() if value not in (None, ())}
    for name in sorted(said - _TAKES[policy]):
        owner = next(other for other, takes in _TAKES.items() if name in takes)
        raise click.UsageError(f"--{name.replace('_', '-')} belongs to the policy {owner}, not to {policy}")
    for name in _NEEDS[policy]:
        if name not in said:
            raise click.UsageError(f"the policy {policy} needs --{name}")
    if policy == "vote":
        return control.VoteOrder(output=given["on"], wait_ms=given["wait_ms"])
    if policy == "weighted":
        return control.WeightedOrder(
            weights=by_version(given["weight"]),
            outputs=tuple(given["average"]),
            argmax=dict(given["argmax"]),
            wait_ms=given["wait_ms"],
        )
    if policy == "split":
        return control.SplitOrder(field=given["by"], steps=tuple(given["step"]), salt=given["salt"])
    return control.FirstOrder()


def in_words(policy: PlannedPolicy) -> str:
    """A policy for people, without its steps."""
    match policy:
        case FirstPolicy():
            waits = _waits(policy.order, policy.patience_ms)
            return f"first: the first of the order that answers, waiting {waits}"
        case VotePolicy():
            return (
                f"vote: in each row what most of {', '.join(policy.order)} say about {policy.output}, a tie to the earlier; "
                f"taken after {policy.wait_ms:g} ms at the latest"
            )
        case WeightedPolicy():
            shares = ", ".join(
                f"{version} {weight:g}" for version, weight in zip(policy.order, policy.weights, strict=True)
            )
            labels = "".join(f"; {output} is the label of the greatest {of}" for output, of in policy.argmax.items())
            return (
                f"weighted: the mean of {', '.join(policy.outputs)} with the weights {shares}, over whoever is in after "
                f"{policy.wait_ms:g} ms at the latest{labels}"
            )
        case SplitPolicy():
            waits = _waits(policy.order, policy.patience_ms)
            return f"split: each {policy.field} is answered by the version it is assigned to, waiting {waits}, then along the order"


def steps_in_words(policy: PlannedPolicy, current: int | None) -> list[str]:
    """The steps of a ramp, one line each; none where the policy has none."""
    if not isinstance(policy, SplitPolicy):
        return []
    return [
        f"{number}: "
        + ", ".join(
            f"{version} {percent(share)}" for version, share in zip(policy.order, step.shares, strict=True) if share
        )
        + (" (it stands here)" if number == current else "")
        for number, step in enumerate(policy.steps)
    ]


def _waits(order: tuple[str, ...], patience_ms: tuple[float, ...]) -> str:
    return ", ".join(f"{patience:g} ms for {version}" for version, patience in zip(order, patience_ms, strict=True))

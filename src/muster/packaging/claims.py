"""What an author claims of a model in muster.toml, for certification to hold it to: relations, load, what is predicted, own checks."""

import math
from collections.abc import Iterable
from typing import Literal

import msgspec

from muster.packaging.manifest import path_problem
from muster.vocabulary.errors import Invalid
from muster.vocabulary.names import checked_name
from muster.wire.contracts import Contract

#: More of them is something that went astray.
MOST_OF_A_KIND = 100

#: Labels of an output that gives mean and standard deviation of a normal distribution.
NORMAL = ("mean", "deviation")

Task = Literal["binary", "multiclass", "regression", "ranking", "probabilistic", "counts"]


class Relation(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """How answers have to change, or not, when an input does: a metamorphic relation.

    Source: Chen, Cheung, Yiu, "Metamorphic testing" (1998).
    """

    name: str
    kind: Literal["invariant", "monotone", "symmetric"]
    field: str
    """The input that is changed."""
    output: str = ""
    """The output that is looked at; empty: the only one."""
    direction: Literal["up", "down"] = "up"
    """Of `monotone`: where the output goes when the field grows."""
    other: str = ""
    """Of `symmetric`: the input that is swapped with `field`."""
    values: tuple[float | int | str | bool, ...] = ()
    """What the field is set to; empty: values of the golden rows and of the contract."""
    tolerance: float = 0.0
    """How far an answer may lie on the wrong side."""


class Load(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What the model is expected to bear, and what it may take for it."""

    requests_per_s: float | None = None
    rows: int = 1
    """Of one request."""
    p99_ms: float | None = None
    """99th percentile of the latency at that rate, milliseconds."""
    memory_mib: float | None = None
    """Resident memory of the host with all that it started, MiB."""
    cold_start_s: float | None = None
    """From starting the host to its first answer, seconds."""


class Prediction(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is predicted, so that answers can be held against what really happened."""

    task: Task
    label: str
    """The column of evaluation data that holds what really happened."""
    output: str = ""
    """The output that is judged; empty: the only one."""
    positive: str | int | bool | None = None
    """Of `binary`: the value of the label that the output is the probability of; None: true, 1, or the second in order."""
    slices: tuple[str, ...] = ()
    """Columns of evaluation data by whose values the metrics are told one by one."""
    protected: tuple[str, ...] = ()
    """Columns that must not decide how well people are served: fairness is measured over their values."""
    group: str = ""
    """Of `ranking`: the column that says which rows are ranked against each other."""
    quantiles: tuple[float, ...] = ()
    """Of `probabilistic`: which quantiles the positions of the output are; empty where its labels are `mean` and `deviation`."""


class OwnCheck(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A check that the author brings along."""

    name: str
    run: str
    """Path of its program in the bundle."""
    limit: float | None = None
    """What its figure may be at most; None: the program decides alone."""


class Claims(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that an author claims, as `muster.toml` holds it at its top level."""

    relations: tuple[Relation, ...] = ()
    load: Load | None = None
    prediction: Prediction | None = None
    checks: tuple[OwnCheck, ...] = ()


def claim_problems(claims: Claims, contract: Contract) -> list[str]:
    """What is wrong with claims in themselves or beside a contract; empty when nothing is."""
    return [
        *_relation_problems(claims.relations, contract),
        *_load_problems(claims.load),
        *_prediction_problems(claims.prediction, contract),
        *_check_problems(claims.checks),
    ]


def _relation_problems(relations: tuple[Relation, ...], contract: Contract) -> list[str]:
    problems = _names_of("[[relations]]", [relation.name for relation in relations])
    for relation in relations:
        where = f"[[relations]] {relation.name[:80]!r}"
        fields = {"field": relation.field} | ({"other": relation.other} if relation.kind == "symmetric" else {})
        problems.extend(
            f"{where}: {key} = {name[:80]!r} is no input"
            for key, name in fields.items()
            if contract.input(name) is None
        )
        problems.extend(_output_problems(where, relation.output, contract))
        if not 0 <= relation.tolerance < math.inf:
            problems.append(f"{where}: tolerance is {relation.tolerance}; it is 0 or more")
    return problems


def _load_problems(load: Load | None) -> list[str]:
    if load is None:
        return []
    wrong = [
        f"[load] {name} is {value:g}; it is above 0"
        for name in ("requests_per_s", "p99_ms", "memory_mib", "cold_start_s")
        if (value := getattr(load, name)) is not None and not 0 < value < math.inf
    ]
    return wrong if load.rows >= 1 else [*wrong, f"[load] rows is {load.rows}; a request has at least one row"]


def _prediction_problems(prediction: Prediction | None, contract: Contract) -> list[str]:
    if prediction is None:
        return []
    problems = _output_problems("[prediction]", prediction.output, contract)
    if not prediction.label.strip():
        problems.append("[prediction] label names no column")
    if contract.input(prediction.label) is not None:
        problems.append(
            f"[prediction] label = {prediction.label[:80]!r} is an input: the model would be told the answer"
        )
    if prediction.task == "ranking" and not prediction.group:
        problems.append("[prediction] a ranking needs `group`, the column that says which rows are ranked together")
    if prediction.task == "probabilistic" and not prediction.quantiles and not _is_normal(prediction, contract):
        problems.append(
            "[prediction] a probabilistic prediction needs `quantiles`, or an output of `mean` and `deviation`"
        )
    levels = prediction.quantiles
    if any(not 0 < level < 1 for level in levels) or list(levels) != sorted(set(levels)):
        problems.append("[prediction] quantiles rise, each above 0 and below 1")
    return problems


def _is_normal(prediction: Prediction, contract: Contract) -> bool:
    output = contract.output(prediction.output) if prediction.output else next(iter(contract.outputs), None)
    return output is not None and output.labels == NORMAL


def _check_problems(checks: tuple[OwnCheck, ...]) -> list[str]:
    problems = _names_of("[[checks]]", [check.name for check in checks])
    for check in checks:
        where = f"[[checks]] {check.name[:80]!r}"
        try:
            checked_name(check.name, of="check")
        except Invalid as error:
            problems.append(f"[[checks]] {error.message}")
        if problem := path_problem(check.run):
            problems.append(f"{where}: run = {check.run[:80]!r} {problem}")
        if check.limit is not None and not math.isfinite(check.limit):
            problems.append(f"{where}: limit is {check.limit}, and no finite number")
    return problems


def _names_of(table: str, names: list[str]) -> list[str]:
    problems = [f"{table} names {name[:80]!r} more than once" for name in _twice(names)]
    if any(not 0 < len(name.strip()) <= 200 for name in names):
        problems.append(f"{table} a name has 1 to 200 characters")
    if len(names) > MOST_OF_A_KIND:
        problems.append(f"{table} there are {len(names)}, more than {MOST_OF_A_KIND}")
    return problems


def _twice(names: list[str]) -> Iterable[str]:
    return (name for name in dict.fromkeys(names) if names.count(name) > 1)


def _output_problems(where: str, output: str, contract: Contract) -> list[str]:
    if output:
        return [] if contract.output(output) is not None else [f"{where}: output = {output[:80]!r} is no output"]
    several = len(contract.outputs) > 1
    return [f"{where} has to name its output, as there are {len(contract.outputs)}"] if several else []

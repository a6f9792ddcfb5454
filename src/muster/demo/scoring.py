"""Customers are scored over HTTP, and the variants of the release are compared by what the records say."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from typing import Any

import muster
from muster.client.control import Factory
from muster.demo.lab import Lab
from muster.demo.load import Aim, Answer, Form, failed, percentile, send_all
from muster.demo.screen import Step
from muster.wire import control

#: Requests per second at most: each is answered by three models on, say, two processors, which the demo needs as well.
RATE = 100.0
#: How many decision records are read to compare the variants.
COMPARED = 200
ROWS_AT_ONCE = 50
_LEAVES = 0.5
_GOLDEN_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """Everything that came back, and some of the decision records."""

    answers: tuple[Answer, ...]
    records: tuple[control.Request, ...]


def score_everybody(step: Step, aim: Aim, olga: Factory, lab: Lab, models: Mapping[str, Any]) -> Scoring:
    """Score every new customer, one a request, alternating between plain records and V2.

    Args:
        step: where it is told.
        aim: where requests go.
        olga: may read decision records.
        lab: has the customers, and what became of them.
        models: the fitted model of each version, as it was before it was saved.
    """
    total = len(aim.rows)
    with step.progress(f"{total} customers at up to {RATE:.0f} requests/s", total) as advance:
        answers = send_all(aim, islice(aim.endless(), total), RATE, lambda done: advance(done=done))
    good = [answer for answer in answers if answer.status == 200]
    for form in Form:
        of_form = [answer for answer in good if answer.form is form]
        step.measured(**{f"{form}_answers": len(of_form)})
    step.claim(
        f"{len(good)} of {total} requests answered, {step.figures['records_answers']} as plain records and "
        f"{step.figures['v2_answers']} in V2; failed: {_failures(answers)}",
        holds=len(good) == total,
    )
    _show_who_answered(step, good)
    _compare_with_lab(step, good, lab, models)
    _ask_as_python_does(step, aim, lab, models)
    with step.progress(f"reading {COMPARED} decision records", COMPARED) as advance:
        records = []
        for answer in good[-COMPARED:]:
            records.append(olga.request(answer.request_id))
            advance(done=len(records))
    _show_agreement(step, records)
    return Scoring(answers=tuple(answers), records=tuple(records))


def _failures(answers: Sequence[Answer]) -> str:
    found = failed(answers)
    return f"{len(found)}, {found[0].status} {found[0].error}" if found else "0"


def _show_who_answered(step: Step, answers: Sequence[Answer]) -> None:
    counts = Counter((answer.variant, answer.role or "-", answer.reason) for answer in answers)
    step.table(
        ("answered by", "role", "reason", "requests", "p50 ms", "p99 ms"),
        [
            (*who, count, *(f"{percentile(_of(answers, who), share):.1f}" for share in (0.5, 0.99)))
            for who, count in counts.most_common()
        ],
    )
    p50, p99 = percentile(answers, 0.5), percentile(answers, 0.99)
    step.measured(
        by_reason=dict(Counter(answer.reason for answer in answers)),
        by_variant=dict(Counter(answer.variant for answer in answers)),
        p50_ms=round(p50, 2),
        p99_ms=round(p99, 2),
    )
    step.claim(f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, measured by the caller", holds=0 < p50 <= p99)


def _of(answers: Sequence[Answer], who: tuple[str, str, str]) -> list[Answer]:
    return [answer for answer in answers if (answer.variant, answer.role or "-", answer.reason) == who]


def _compare_with_lab(step: Step, answers: Sequence[Answer], lab: Lab, models: Mapping[str, Any]) -> None:
    """Production says what the lab said, customer by customer."""
    from sklearn.metrics import roc_auc_score  # noqa: PLC0415 - Muster does without scikit-learn

    said = {version: model.predict_proba(lab.customers.new)[:, 1] for version, model in models.items()}
    compared = [answer for answer in answers if answer.variant in said]
    largest = max((abs(answer.probability - said[answer.variant][answer.customer]) for answer in compared), default=1.0)
    step.claim(
        f"every answer is what the model said in the lab: largest difference {largest:.1e} over {len(compared)} customers",
        holds=largest <= _GOLDEN_TOLERANCE and len(compared) > 0,
    )
    left = [int(lab.customers.new_left[answer.customer]) for answer in answers]
    auc = float(roc_auc_score(left, [answer.probability for answer in answers]))
    step.say(f"AUC of what production answered, against what these customers really did: {auc:.4f}")
    step.measured(largest_difference_to_lab=float(largest), auc_in_production=round(auc, 4))


def _ask_as_python_does(step: Step, aim: Aim, lab: Lab, models: Mapping[str, Any]) -> None:
    """The same from Python: a DataFrame in one request."""
    asked = lab.customers.new.head(ROWS_AT_ONCE)
    with muster.scorer(aim.scoring, aim.token) as scorer:
        scored = scorer.score(aim.endpoint, asked)
    (variant,) = set(scored.variants)
    said = models[variant].predict_proba(asked)[:, 1] if variant in models else []
    largest = max((abs(one - other) for one, other in zip(scored[aim.output], said, strict=False)), default=1.0)
    step.claim(
        f"muster.scorer: a DataFrame of {len(scored)} customers in one request, answered by {variant}",
        holds=len(scored) == ROWS_AT_ONCE and largest <= _GOLDEN_TOLERANCE,
    )


def _show_agreement(step: Step, records: Sequence[control.Request]) -> None:
    """Each request met all variants: how often they would have decided alike, and how far apart they are."""
    by_version: dict[str, dict[str, float]] = {}
    for record in records:
        for answer in record.answers:
            if answer.outputs:
                (values,) = answer.outputs.values()
                by_version.setdefault(answer.version, {})[record.request_id] = float(values[0])
    rows, figures = [], {}
    for one, other in combinations(sorted(by_version), 2):
        both = sorted(by_version[one].keys() & by_version[other].keys())
        if not both:
            continue
        pairs = [(by_version[one][request], by_version[other][request]) for request in both]
        alike = sum((a > _LEAVES) == (b > _LEAVES) for a, b in pairs) / len(pairs)
        apart = math.fsum(abs(a - b) for a, b in pairs) / len(pairs)
        rows.append((f"{one} and {other}", len(pairs), f"{alike:.1%}", f"{apart:.3f}"))
        figures[f"{one}_{other}"] = {"requests": len(pairs), "alike": round(alike, 4), "apart": round(apart, 4)}
    step.table(("variants", "requests", "decide alike", "mean difference"), rows)
    step.measured(agreement=figures)
    step.claim(
        f"all {len(by_version)} variants answered: {len(records)} records hold "
        f"{sum(len(answers) for answers in by_version.values())} answers",
        holds=len(by_version) == len(records[0].answers) and len(rows) > 0,
    )

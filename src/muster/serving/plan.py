"""A serving plan made ready to use: what a front holds in memory for an endpoint."""

from dataclasses import dataclass

import msgspec
import rfc8785

from muster.packaging.columns import Column
from muster.packaging.contract import ContractChecker
from muster.serving.policies.first import First
from muster.vocabulary.digests import Digest, digest_of
from muster.wire.contracts import as_document
from muster.wire.plans import PlannedVariant, ServingPlan

#: Kept for encoding and writing the reply, so that it leaves before the deadline and not at it: the smaller of the two.
_REPLY_MARGIN_S = 0.004
_REPLY_MARGIN_SHARE = 0.1


def plan_digest(plan: ServingPlan) -> Digest:
    """The plan's identity: SHA-256 of its canonical JSON."""
    return digest_of(rfc8785.dumps(as_document(plan)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A variant of a ready plan."""

    planned: PlannedVariant
    key: str
    """Names its host on this machine: `endpoint/model:number@manifest`."""
    columns: tuple[int, ...]
    """Where its inputs are among the endpoint's, in its own order."""

    @property
    def version(self) -> str:
        """As people write it: `churn:3`."""
        return self.planned.version

    @property
    def number(self) -> str:
        """What V2 calls the model version."""
        return self.planned.version.partition(":")[2]


class Plan:
    """A serving plan with everything computed once that every request needs.

    Args:
        document: the plan as control published it.
    """

    def __init__(self, document: ServingPlan) -> None:
        self.document = document
        self.digest = plan_digest(document)
        self.endpoint = document.endpoint
        self.release = document.release
        self.contract = document.contract
        self.deadline_s = document.deadline_ms / 1000
        self.checker = ContractChecker(document.contract, document.limits.rows)
        self.output_checker = ContractChecker(
            msgspec.structs.replace(document.contract, inputs=document.contract.outputs), max_rows=1
        )
        places = {field.name: index for index, field in enumerate(document.contract.inputs)}
        self.variants = tuple(
            Variant(
                planned=variant,
                key=f"{document.endpoint}/{variant.version}@{variant.manifest[7:19]}",
                columns=tuple(places[name] for name in variant.inputs),
            )
            for variant in document.variants
        )
        indexes = {variant.version: index for index, variant in enumerate(self.variants)}
        self.order = tuple(indexes[version] for version in document.policy.order)
        self._patience_s = tuple(patience / 1000 for patience in document.policy.patience_ms)
        self._policy = self._first(self.deadline_s)
        self.default_columns = self._default_columns()
        self.default_json = None if document.default is None else msgspec.json.encode(document.default)

    def margin_s(self, deadline_s: float) -> float:
        """How long before a deadline the decision has to be taken."""
        return min(_REPLY_MARGIN_S, deadline_s * _REPLY_MARGIN_SHARE)

    def policy(self, deadline_s: float) -> First:
        """The plan's policy for a request that has this long, seconds from arrival."""
        return self._policy if deadline_s >= self.deadline_s else self._first(deadline_s)

    def forced(self, variant: int, deadline_s: float) -> First:
        """The policy for a request that asks for one version and will have no other."""
        usable = deadline_s - self.margin_s(deadline_s)
        return First((variant,), (usable,), usable)

    def variant_numbered(self, number: str) -> int | None:
        """Index of the variant with that version number; of several models, the one first in the plan."""
        return next((index for index, variant in enumerate(self.variants) if variant.number == number), None)

    def variant_of(self, version: str) -> int | None:
        """Index of the variant of that version."""
        return next((index for index, variant in enumerate(self.variants) if variant.version == version), None)

    def _first(self, deadline_s: float) -> First:
        usable = deadline_s - self.margin_s(deadline_s)
        return First(self.order, self._patience_s, usable)

    def _default_columns(self) -> dict[str, Column] | None:
        if self.document.default is None:
            return None
        return dict(self.output_checker.check_records([self.document.default]).columns)

"""A serving plan made ready to use: what a front holds in memory for an endpoint."""

import math
from dataclasses import dataclass

import msgspec
import rfc8785

from muster.packaging.columns import Column
from muster.packaging.contract import ContractChecker
from muster.serving.decisions import Policy
from muster.serving.policies.compiled import compiled, waited_s
from muster.serving.policies.first import First
from muster.vocabulary.digests import Digest, digest_of
from muster.vocabulary.states import Role
from muster.wire.contracts import as_document
from muster.wire.plans import PlannedVariant, ServingPlan, SplitPolicy
from muster.wire.records import VariantAnswer

#: Kept for encoding and writing the reply, so that it leaves before the deadline and not at it: the smaller of the two.
_REPLY_MARGIN_S = 0.004
_REPLY_MARGIN_SHARE = 0.1
#: However late a front runs, so much of a deadline is left for the variants.
_USABLE_SHARE = 0.5
#: Margins are rounded up to this, so that one that wavers does not make a policy for every request.
_MARGIN_STEP_S = 0.0005
#: However long a caller with the right to may grant: the longest deadline that a release can have, too.
_LONGEST_S = 3600.0
#: Policies kept for other margins and other deadlines.
_KEPT_POLICIES = 64


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

    version: str
    """As people write it: `churn:3`."""
    role: Role

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
        self.project = document.project
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
                version=variant.version,
                role=variant.role,
                key=f"{document.endpoint}/{variant.version}@{variant.manifest[7:19]}",
                columns=tuple(places[name] for name in variant.inputs),
            )
            for variant in document.variants
        )
        self.pending = [VariantAnswer(variant.version, variant.role, "pending") for variant in self.variants]
        """What is known of each variant before a request has been sent to it."""
        indexes = {variant.version: index for index, variant in enumerate(self.variants)}
        self.order = tuple(indexes[version] for version in document.policy.order)
        """Indexes of all variants that may answer, the preferred first."""
        self.split_field = document.policy.field if isinstance(document.policy, SplitPolicy) else None
        """The input whose values are the units of a split; None for other policies."""
        self._indexes = indexes
        self._patience_s = dict(zip(self.order, waited_s(document.policy), strict=True))
        self.least_patience_s = min(self.patience_s(index) for index in self.order)
        """Before so much time has passed since its arrival, a request has waited for nobody in vain."""
        # Callers choose their deadlines: what they make does not push out what everyone else needs.
        self._own_policies: dict[tuple[float, float | None], Policy] = {}
        self._other_policies: dict[tuple[float, float | None], Policy] = {}
        self._own_policy = self._compiled(self.deadline_s, None)
        self.default_columns = self._default_columns()
        self.default_json = None if document.default is None else msgspec.json.encode(document.default)

    def granted_s(self, asked_s: float | None, overrides: tuple[str, ...]) -> float:
        """How long a request has, seconds from arrival: what its caller grants, beyond the release's deadline only by right."""
        if asked_s is None or (asked_s > self.deadline_s and "deadline" not in overrides):
            return self.deadline_s
        return min(asked_s, _LONGEST_S)

    def margin_s(self, deadline_s: float) -> float:
        """How long before a deadline the decision has to be taken by a front that is not behind."""
        return min(_REPLY_MARGIN_S, deadline_s * _REPLY_MARGIN_SHARE)

    def usable_s(self, deadline_s: float, margin_s: float | None = None) -> float:
        """When the decision about a request with this deadline has to be taken, seconds from arrival.

        Args:
            deadline_s: when the answer has to leave, seconds from arrival.
            margin_s: how late this front's timers and replies run at present, as far as it is more than usual; it takes no
                more than half of the deadline.
        """
        margin = self.margin_s(deadline_s)
        if margin_s is not None and margin_s > margin:
            margin = min(margin_s, deadline_s * _USABLE_SHARE)
        return deadline_s - margin

    def patience_s(self, variant: int) -> float:
        """How long the endpoint waits for a variant, seconds from arrival; for one that answers nothing, the deadline.

        It is the release's: a caller that grants less makes no variant late.
        """
        return min(self._patience_s.get(variant, self.deadline_s), self.usable_s(self.deadline_s))

    def policy(self, deadline_s: float, margin_s: float | None = None) -> Policy:
        """The plan's policy for a request.

        Args:
            deadline_s: what it has, seconds from arrival; it may be more than the release grants.
            margin_s: see `usable_s`.
        """
        if margin_s is None and deadline_s == self.deadline_s:
            return self._own_policy
        if margin_s is not None:
            margin_s = math.ceil(margin_s / _MARGIN_STEP_S) * _MARGIN_STEP_S
        kept = self._own_policies if deadline_s == self.deadline_s else self._other_policies
        policy = kept.get((deadline_s, margin_s))
        if policy is None:
            if len(kept) >= _KEPT_POLICIES:
                kept.clear()
            policy = kept[deadline_s, margin_s] = self._compiled(deadline_s, margin_s)
        return policy

    def forced(self, variant: int, deadline_s: float, margin_s: float | None = None) -> First:
        """The policy for a request that asks for one version and will have no other."""
        usable = self.usable_s(deadline_s, margin_s)
        return First((variant,), (usable,), usable)

    def variant_numbered(self, number: str) -> int | None:
        """Index of the variant with that version number; of several models, the one first in the plan."""
        return next((index for index, variant in enumerate(self.variants) if variant.number == number), None)

    def variant_of(self, version: str) -> int | None:
        """Index of the variant of that version."""
        return next((index for index, variant in enumerate(self.variants) if variant.version == version), None)

    def _compiled(self, deadline_s: float, margin_s: float | None) -> Policy:
        return compiled(self.document.policy, self._indexes, self.contract, self.usable_s(deadline_s, margin_s))

    def _default_columns(self) -> dict[str, Column] | None:
        if self.document.default is None:
            return None
        return dict(self.output_checker.check_records([self.document.default]).columns)

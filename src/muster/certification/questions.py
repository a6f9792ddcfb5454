"""All questions of certification, in the order in which they are put."""

from muster.certification import checks
from muster.certification.conformance import HostConforms
from muster.certification.sealing import EnvironmentsAlike, EnvironmentSealed, RebuildsOffline
from muster.certification.trust import PackagesTrusted
from muster.certification.twins import TwinAgrees

QUESTIONS: tuple[checks.Question, ...] = (
    checks.BundleComplete(),
    PackagesTrusted(),
    checks.EnvironmentBuilds(),
    EnvironmentSealed(),
    EnvironmentsAlike(),
    checks.ModelLoads(),
    checks.GoldenAnswers(),
    checks.ContractHolds(),
    checks.WrongInputs(),
    checks.OneRowLatency(),
    HostConforms(),
    RebuildsOffline(),
    TwinAgrees(),
)


def questions_for(bench: checks.Bench) -> tuple[checks.Question, ...]:
    """Those that are put to a version: some are put only where they were asked for."""
    return tuple(
        question for question in QUESTIONS if not isinstance(question, checks.Optional) or question.is_asked(bench)
    )

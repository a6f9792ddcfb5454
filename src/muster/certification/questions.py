"""All questions of certification, in the order in which they are put."""

from muster.certification import checks
from muster.certification.conformance import HostConforms
from muster.certification.demands import MeetsStandard
from muster.certification.sealing import EnvironmentsAlike, EnvironmentSealed, RebuildsOffline
from muster.certification.trust import PackagesTrusted
from muster.certification.twins import TwinAgrees

QUESTIONS: tuple[checks.Question, ...] = (
    checks.BundleComplete(),
    MeetsStandard(),
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


#: Names of all checks, for standards that give limits.
NAMES: tuple[str, ...] = tuple(question.name for question in QUESTIONS)

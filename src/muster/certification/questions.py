"""All questions of certification, in the order in which they are put."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from muster.certification import checks
from muster.certification.confinement import Confined
from muster.certification.conformance import HostConforms
from muster.certification.data.no_leakage import NoLeakage
from muster.certification.data.referenced import DataReferenced
from muster.certification.demands import MeetsStandard
from muster.certification.licences import LicencesAllowed
from muster.certification.load.cold_start import ColdStart
from muster.certification.load.memory_held import MemoryHeld
from muster.certification.load.throughput import Throughput
from muster.certification.load.under_load import UnderLoad
from muster.certification.own_checks import ANY_OWN, OwnCheck, own_checks
from muster.certification.prediction.calibration import Calibrated
from muster.certification.prediction.champion import AgainstChampion
from muster.certification.prediction.fairness import Fair
from muster.certification.prediction.performance import PredictionPerformance
from muster.certification.prediction.slices import SlicesHold
from muster.certification.relations import RelationsHold
from muster.certification.robustness import Robustness
from muster.certification.scans import NoMaliciousCode, NoSecrets
from muster.certification.sealing import EnvironmentsAlike, EnvironmentSealed, RebuildsOffline
from muster.certification.trust import PackagesTrusted
from muster.certification.twins import TwinAgrees
from muster.certification.vulnerabilities import NoKnownVulnerabilities

QUESTIONS: tuple[checks.Question, ...] = (
    checks.BundleComplete(),
    MeetsStandard(),
    PackagesTrusted(),
    NoMaliciousCode(),
    NoSecrets(),
    NoKnownVulnerabilities(),
    DataReferenced(),
    NoLeakage(),
    checks.EnvironmentBuilds(),
    EnvironmentSealed(),
    LicencesAllowed(),
    EnvironmentsAlike(),
    checks.ModelLoads(),
    Confined(),
    checks.GoldenAnswers(),
    checks.ContractHolds(),
    checks.WrongInputs(),
    Robustness(),
    RelationsHold(),
    PredictionPerformance(),
    AgainstChampion(),
    SlicesHold(),
    Calibrated(),
    Fair(),
    checks.OneRowLatency(),
    UnderLoad(),
    Throughput(),
    MemoryHeld(),
    ColdStart(),
    HostConforms(),
    RebuildsOffline(),
    TwinAgrees(),
)


def questions_for(bench: checks.Bench, run: Mapping[str, bool]) -> Iterator[checks.Question]:
    """Those that are put to a version, one by one: whether some are asked depends on what those before have found.

    Args:
        bench: what the questions work with.
        run: what the standard says about it, by name; what others need cannot be left out.
    """
    for question in _all(bench):
        asked = not isinstance(question, checks.Optional) or question.is_asked(bench)
        if question.is_needed or run.get(question.name, asked):
            yield question


def _all(bench: checks.Bench) -> Iterator[checks.Question]:
    """The questions, with those that others bring before the first for which the model is given rows that its author must not learn.

    Own checks are the author's, and may ask the model whatever they like: nothing of the model has seen such rows before they are done.
    """
    for question in QUESTIONS:
        if question.name == RelationsHold.name:
            yield from own_checks(bench)
        yield question


def _problems_of(question: checks.Question) -> Callable[[Mapping[str, Any]], list[str]]:
    return lambda given: checks.option_problems(question, given)


#: Every check by its name, with what is wrong with settings that a standard gives it; `own:*` stands for all that others bring.
KNOWN: Mapping[str, Callable[[Mapping[str, Any]], list[str]]] = {
    **{question.name: _problems_of(question) for question in QUESTIONS},
    ANY_OWN: _problems_of(OwnCheck("any")),
}

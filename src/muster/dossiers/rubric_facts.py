"""What the records of the factory say of single tests of the ML Test Score: whether one is met, by which fact, or what is missing."""

from collections.abc import Iterable

from muster.certification.data.referenced import HELD, REFERENCES
from muster.certification.prediction.judging import PERFORMANCE_CHECK
from muster.certification.prediction.performance import LIMITS
from muster.dossiers.records import Dossier, Serving
from muster.gates.records import Verdict
from muster.sessions.records import Measured
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import Role, VersionState
from muster.wire.plans import SplitPolicy

#: A version with this tag is the simple model that others are held against.
BASELINE_TAG = "baseline"
_IMPORTANCE, _OF_INPUT = "importance:", "input="
#: Of these metrics a smaller value is the better one.
_LOWER_IS_BETTER = frozenset(
    {
        "log_loss",
        "brier",
        "mae",
        "rmse",
        "mape",
        "smape",
        "median_ae",
        "pinball",
        "crps",
        "poisson_deviance",
        "rmsle",
    }
)
#: By which two versions are compared, the first of them that both have.
_COMPARED_BY = (
    "roc_auc",
    "roc_auc_ovr_macro",
    "ndcg@10",
    "ndcg",
    "rmse",
    "mae",
    "pinball",
    "poisson_deviance",
    "accuracy",
)
_ON_EVALUATION = "evaluation:"

Told = tuple[bool, str]


def schema(dossier: Dossier) -> Told:
    """Whether the contract is known to hold, and how many inputs have limits."""
    if not dossier.passed("contract-holds"):
        return False, "no examination has found the contract to hold (check contract-holds)"
    inputs = dossier.version.contract.inputs
    limited = sum(field.declared is not None for field in inputs)
    watched = sum(field.observed is not None for field in inputs)
    return True, (
        f"the contract gives type and nulls of {len(inputs)} inputs, declared limits of {limited}, observed ranges of {watched}; "
        "fronts hold every request against it"
    )


def importance_of(dossier: Dossier) -> dict[str, float]:
    """What shuffling each input costs, as the newest examination measured it."""
    if dossier.examination is None:
        return {}
    return {
        one.measure.slice.removeprefix(_OF_INPUT): one.measure.value
        for one in dossier.examination.measures
        if one.measure.name.startswith(_IMPORTANCE) and one.measure.slice.startswith(_OF_INPUT)
    }


def beneficial(dossier: Dossier) -> Told:
    """Whether shuffling any input makes the model worse."""
    found = importance_of(dossier)
    inputs = [field.name for field in dossier.version.contract.inputs]
    if not found:
        return False, "no permutation importance was computed: it takes [prediction] and an evaluation set"
    idle = [name for name in inputs if found.get(name, 0.0) <= 0]
    if idle:
        return False, f"shuffling does no harm to {len(idle)} of {len(inputs)} inputs: {_some(idle)}"
    return True, f"shuffling any of the {len(inputs)} inputs makes the model worse (permutation importance)"


def privacy(dossier: Dossier) -> Told:
    """Which fields are marked personal; what the pipeline before the factory does is not seen."""
    marked = [field.name for field in dossier.version.contract.inputs if field.personal]
    known = f"{_some(marked)} marked personal" if marked else "no input is marked personal"
    return False, f"{known}; the factory sees nothing of the pipeline before it: declare how it is controlled"


def feature_code(dossier: Dossier) -> Told:
    """Whether the code that makes features of inputs was run on golden and on generated rows."""
    lacking = [name for name in ("golden-answers", "robustness") if not dossier.passed(name)]
    if lacking:
        return (
            False,
            f"what travels in the bundle is tested by checks that did not pass or were not made: {', '.join(lacking)}",
        )
    return True, "the bundle's own code answers golden rows as its author did, and generated rows within the contract"


def reviewed(dossier: Dossier) -> Told:
    """Whether the code is in a repository without changes besides, and somebody else has passed the version."""
    source = dossier.bundle.source
    if source is None:
        return False, "the bundle names no commit: save it from a repository"
    if source.dirty:
        return False, f"saved with changes that commit {source.commit[:12]} does not have"
    if dossier.version.state is not VersionState.ACCEPTED:
        return False, f"commit {source.commit[:12]} is named, but the version is not accepted"
    votes = [one.vote for one in dossier.review.opinions if one.vote.verdict is Verdict.APPROVE]
    people = sorted({vote.person for vote in votes if not dossier.version.is_work_of(vote.person)})
    if not people:
        return False, "nobody besides its author has passed the version"
    return True, f"commit {source.commit[:12]}, nothing besides; passed by {_some(people)}"


def staleness(dossier: Dossier) -> Told:
    """Whether one version was measured on evaluation sets of different times."""
    sets: dict[VersionName, set[str]] = {}
    for one in dossier.measures:
        if one.measure.over.startswith(_ON_EVALUATION) and not one.measure.slice:
            sets.setdefault(one.version, set()).add(one.measure.over)
    known = max(sets.items(), key=lambda pair: len(pair[1]), default=None)
    if known is None or len(known[1]) < 2:
        return False, "no version was measured on two evaluation sets: certify one again when a newer set is there"
    return True, f"{known[0]} was measured on {_some(sorted(known[1]))}"


def simpler(dossier: Dossier) -> Told:
    """Whether a version tagged as baseline was measured on the same rows and is worse."""
    baselines = {one.name for one in dossier.versions if one.tags.get(BASELINE_TAG, "").lower() in {"true", "yes", "1"}}
    baselines -= {dossier.version.name}
    if not baselines:
        return False, f'no version of the model has the tag {BASELINE_TAG} = "true"'
    own = _whole_of(dossier.measures, {dossier.version.name})
    theirs = _whole_of(dossier.measures, baselines)
    for name in _COMPARED_BY:
        for over in sorted({over for metric, over in own if metric == name}, reverse=True):
            if (name, over) in theirs:
                mine, other = own[name, over], theirs[name, over]
                is_better = mine.measure.value < other.measure.value
                if name not in _LOWER_IS_BETTER:
                    is_better = mine.measure.value > other.measure.value
                told = f"{name} on {over}: {mine.measure.value:.4g}, of the baseline {other.version} {other.measure.value:.4g}"
                return is_better, told
    return (
        False,
        f"{_some(sorted(map(str, baselines)))} is the baseline, but was not measured on the same evaluation set",
    )


def _whole_of(measures: Iterable[Measured], versions: set[VersionName]) -> dict[tuple[str, str], Measured]:
    """The newest measure of the whole by metric and what it was computed on, among some versions."""
    found: dict[tuple[str, str], Measured] = {}
    for one in measures:
        measure = one.measure
        if one.version in versions and not measure.slice and measure.over.startswith(_ON_EVALUATION):
            found.setdefault((measure.name, measure.over), one)
    return found


def unit_tested(dossier: Dossier) -> Told:
    """Whether relations that the author declared, or own checks, were put and passed."""
    own = {name: passed for name, passed in dossier.checks.items() if name == "relations" or name.startswith("own:")}
    if not own:
        return False, "neither [[relations]] nor [[checks]] are in the bundle"
    failed = [name for name, passed in own.items() if not passed]
    if failed:
        return False, f"failed: {_some(failed)}"
    return True, f"passed at every certification: {_some([*own])}"


def validated(dossier: Dossier) -> Told:
    """Whether metrics on a sealed evaluation set were held against limits."""
    if PERFORMANCE_CHECK not in dossier.checks:
        return False, "no evaluation set, or no [prediction]: nothing was measured against outcomes"
    if not dossier.passed(PERFORMANCE_CHECK):
        return False, f"the check {PERFORMANCE_CHECK} failed"
    limits = int(dossier.figures(PERFORMANCE_CHECK).get(LIMITS, 0))
    if not limits:
        return False, (
            "its metrics on a sealed evaluation set were measured and held against no limit, so that any model passes: give min or "
            f"max in the standard, [checks.{PERFORMANCE_CHECK}] options"
        )
    return True, (
        f"its metrics on a sealed evaluation set are held against {limits} limit{'s' if limits != 1 else ''} before any release "
        f"(check {PERFORMANCE_CHECK})"
    )


def debuggable(dossier: Dossier) -> Told:
    """Whether a past request was computed again and came out the very same."""
    if dossier.replayed is None:
        return False, "no request that the model answered has been replayed: `muster replay REQUEST`"
    return True, f"any request can be computed again from its record; session {dossier.replayed} found the very same"


def canaried(dossier: Dossier) -> Told:
    """Whether the version met live traffic before it answered all of it."""
    if dossier.tried is not None:
        return True, f"passed a test on live traffic ({dossier.tried})"
    for serving in dossier.servings:
        for release in serving.releases:
            if release.live_at is None:
                continue
            policy = release.plan.policy
            if isinstance(policy, SplitPolicy) and len(policy.steps) > 1:
                return True, f"ramped in {len(policy.steps)} steps (release {release.number} of {serving.endpoint})"
            roles = [one.role for one in release.plan.variants if one.version == str(dossier.version.name)]
            if roles and roles[0] is not Role.CHAMPION:
                return True, f"answered as {roles[0]} in release {release.number} of {serving.endpoint} first"
    return (
        False,
        "it has met no live traffic beside a champion: `muster livetest start`, or release it as challenger first",
    )


def can_go_back(dossier: Dossier) -> Told:
    """Whether there is an earlier release to go back to wherever the version answers."""
    if not dossier.live:
        return False, "it is in no current release"
    lacking = [one.endpoint for one in dossier.live if not _earlier(one)]
    if lacking:
        return False, f"there is no earlier release to go back to at {_some(lacking)}"
    backs = [f"{one.endpoint} to release {_earlier(one)[0]}" for one in dossier.live]
    return True, f"one command goes back, without new approvals: {_some(backs)}"


def _earlier(serving: Serving) -> list[int]:
    """Releases that were current before the one that is, the newest first."""
    return [one.release for one in serving.history if one.release < serving.current.number]


def dependencies(dossier: Dossier) -> Told:
    """Whether changed packages and changed data would be noticed."""
    lacking = [name for name in ("environment-sealed", "data-referenced") if not dossier.passed(name)]
    if lacking:
        return False, f"changes would go unnoticed, as these checks did not pass or were not made: {', '.join(lacking)}"
    figures = dossier.figures("data-referenced")
    named, held = int(figures.get(REFERENCES, 0)), int(figures.get(HELD, 0))
    if not named:
        return (
            False,
            "packages are sealed by digest; of the data it is not on record whether any was fetched: certify again",
        )
    if held < named:
        return False, (
            f"packages are sealed by digest, but {named - held} of {named} references to data are recorded as declared and were "
            "held against no digest: register their source (`muster source add`), and name digests"
        )
    return True, (
        f"packages are sealed by digest and {named} of {named} references to data were fetched and held against their digests, "
        "at every certification"
    )


def invariants(dossier: Dossier) -> Told:
    """Whether served requests are held against the contract."""
    if not dossier.live:
        return False, "it is in no current release, so no input is watched"
    return (
        True,
        f"every request at {_some(_endpoints(dossier))} is held against the contract, and refused where it breaks it",
    )


def skew(dossier: Dossier) -> Told:
    """Whether the host that serves answers the golden rows as training did."""
    if not dossier.live:
        return False, "it is in no current release"
    if not dossier.passed("golden-answers"):
        return False, "the check golden-answers did not pass"
    return (
        True,
        "the code that made features in training is the code that serves; each host answers the golden rows before it may",
    )


def age(dossier: Dossier) -> Told:
    """Whether the certificate ends by itself."""
    if dossier.valid_until is None:
        return False, "no certificate that ends: the project's standard names no [certificate] valid"
    if dossier.valid_until <= dossier.now:
        return False, f"the certificate lapsed on {dossier.valid_until:%Y-%m-%d}"
    return True, f"the certificate lapses on {dossier.valid_until:%Y-%m-%d}, and going live asks for one that has not"


def stable(dossier: Dossier) -> Told:
    """Whether generated extremes were answered within the contract, which knows no NaN where none is declared."""
    if not dossier.passed("robustness"):
        return False, "generated extremes were not put, or not answered within the contract (check robustness)"
    return True, "extremes of every type are answered within the contract, without NaN or infinity (check robustness)"


def speed(dossier: Dossier) -> Told:
    """Whether latency is held against a limit at every certification and watched while serving."""
    held = [name for name in ("one-row-latency", "load") if dossier.passed(name)]
    if not held:
        return False, "no check of latency has passed"
    if not dossier.live:
        return False, "its latency is held against a limit, but it is in no current release that could be watched"
    return (
        True,
        f"held against a limit at every certification ({', '.join(held)}); fronts tell the latency of each version",
    )


def _endpoints(dossier: Dossier) -> list[str]:
    return [one.endpoint for one in dossier.live]


def _some(names: list[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"

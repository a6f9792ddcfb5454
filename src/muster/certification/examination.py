"""The bench on which a version is examined: its bundle as a folder, its environment, a host of its own."""

import fcntl
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from muster.blobs.protocol import Blobs
from muster.certification import checks, questions
from muster.certification.at_hand import AtHand, NewestSealed
from muster.certification.demands import NONE, Limits
from muster.certification.evaluated import Champions, Evaluated
from muster.certification.hardware import hardware
from muster.certification.keeping import Keeping, NothingKept, content_of, is_kept, key_of, taken_over
from muster.certification.options import CertificationOptions
from muster.certification.recorded import PastRows
from muster.certification.records import Check, Examined
from muster.certification.twinned import TwinOrder
from muster.certification.twins import TwinAgrees
from muster.environments.shelf import Shelf
from muster.environments.trust import ALLOW_ALL, Rules
from muster.evaluation_sets.service import EvaluationSets
from muster.registry.records import Version
from muster.scanning.vulnerabilities import Source as AdvisorySource
from muster.training.records import Source
from muster.vocabulary.digests import hex_of
from muster.wire.evidence import EVIDENCE_FORMAT, Evidence

#: What the name of an examination's own folder begins with; one that was killed leaves it behind.
SCRATCH = ".examination-"
_LOCK_LOOK_S = 0.02
_TELL_EVERY_S = 10.0


class Examination:
    """Examines versions on this machine.

    Args:
        blobs: where bundles are kept.
        environments: where they run.
        bundles: folder of the bundles on this machine.
        logs: folder where the hosts' logs go.
        options: the limits.
        past: where to find what callers have asked; None: nowhere.
        evaluations: the evaluation sets of models; None: there are none.
        champions: tells which version of a model is in front; None: none is.
        sources: tells what data sources a project has registered; None: nothing is fetched.
        sealed: tells the newest evaluation set of a version's model; None: nobody keeps any.
    """

    def __init__(
        self,
        *,
        blobs: Blobs,
        environments: Shelf,
        bundles: Path,
        logs: Path,
        options: CertificationOptions | None = None,
        past: PastRows | None = None,
        evaluations: EvaluationSets | None = None,
        champions: Champions | None = None,
        sources: Callable[[str], tuple[Source, ...]] | None = None,
        sealed: NewestSealed | None = None,
    ) -> None:
        self._blobs = blobs
        self._environments = environments
        self._bundles = bundles
        self._logs = logs
        self._options = options or CertificationOptions()
        self._past = past
        self._evaluations = evaluations
        self._champions = champions
        self._sources = sources
        self._sealed = sealed

    def examine(
        self,
        version: Version,
        say: Callable[[str], None],
        *,
        rules: Rules = ALLOW_ALL,
        twin: TwinOrder | None = None,
        limits: Limits = NONE,
        keeping: Keeping | None = None,
        advisories: AdvisorySource | None = None,
    ) -> Examined:
        """Put every question to the version, in order, until one makes the rest impossible.

        Args:
            version: what is examined.
            say: told what is being done, a line at a time.
            rules: which packages its project trusts.
            twin: the compiled twin that is to be made of it; None: none.
            limits: what the project's standard asks.
            keeping: where finished checks are kept, and those of earlier attempts are found; None: nowhere.
            advisories: the file of known vulnerabilities that the project goes by; None: it has none.
        """
        self._bundles.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=self._bundles) as scratch, ExitStack() as stack:
            bench = self._bench(version, say, Path(scratch), rules, twin, limits)
            bench.advisories = advisories
            done, is_complete = self._put_all(bench, stack, limits, keeping or NothingKept())
        return Examined(
            checks=tuple(done),
            environment=None if bench.environment is None else bench.environment.id,
            hardware=hardware(),
            sealed=bench.seal,
            twinned=bench.twinned,
            is_complete=is_complete,
            evidence=Evidence(format=EVIDENCE_FORMAT, checks=tuple(bench.shown)),
            measures=tuple(bench.measures),
            tables=tuple(bench.tables),
            profiled=bench.at_hand.profiled,
            may_fail=frozenset(check.name for check in done if limits.may_fail(check.name)),
        )

    def _bench(
        self,
        version: Version,
        say: Callable[[str], None],
        scratch: Path,
        rules: Rules,
        twin: TwinOrder | None,
        limits: Limits,
    ) -> checks.Bench:
        return checks.Bench(
            version=version,
            blobs=self._blobs,
            environments=self._environments,
            bundles=self._bundles,
            log=self._log(version),
            scratch=scratch,
            options=limits.settings(self._options),
            say=say,
            rules=rules,
            twin=twin or (TwinOrder() if limits.run.get(TwinAgrees.name) else None),
            past=self._past,
            evaluation=self._evaluated(version),
            champion=None if self._champions is None else self._champions(version.project, version.name.model),
            lacks=limits.lacks,
            forgiven=limits.forgiven,
            given_options=limits.options,
            programs=limits.programs,
            at_hand=AtHand(
                sources=() if self._sources is None else self._sources(version.project), sealed=self._sealed
            ),
        )

    def _evaluated(self, version: Version) -> Evaluated | None:
        """The set that counts now; it is the same for the whole examination, whatever is sealed meanwhile."""
        if self._evaluations is None:
            return None
        held = self._evaluations.newest(version.project, version.name.model)
        return None if held is None else Evaluated(held=held, sets=self._evaluations)

    def _put_all(
        self, bench: checks.Bench, stack: ExitStack, limits: Limits, keeping: Keeping
    ) -> tuple[list[Check], bool]:
        """The checks, and whether all of them could be made."""
        done: list[Check] = []
        for question in questions.questions_for(bench, limits.run):
            bench.say(f"{question.name}: {question.asks}")
            check = limits.judged(self._put(question, bench, stack, limits, keeping))
            done.append(check)
            bench.say(f"{check.name}: {'passed' if check.passed else 'FAILED'}, {check.detail}")
            if not check.passed and question.is_needed:
                return done, False
        return done, True

    def _put(
        self, question: checks.Question, bench: checks.Bench, stack: ExitStack, limits: Limits, keeping: Keeping
    ) -> Check:
        """One check: made, or taken over from an attempt that was interrupted."""
        key = key_of(question, bench, hardware(), limits.limits.get(question.name))
        before = keeping.found(question.name, key) if is_kept(question) else None
        if before is not None:
            bench.say(f"{question.name}: made before the interruption, and kept")
            return taken_over(before, bench)
        shown, measured = len(bench.shown), len(bench.measures)
        with self._alone(question, bench):
            check = checks.put(question, bench, stack)
        keeping.keep(question.name, key, content_of(check, bench, shown, measured))
        return check

    @contextmanager
    def _alone(self, question: checks.Question, bench: checks.Bench) -> Iterator[None]:
        """Of several examinations on this machine only one at a time measures how long something takes."""
        if not getattr(question, "is_timed", False):
            yield
            return
        if bench.confidential is not None:
            bench.confidential.end()  # nothing of it runs while something is measured
        with (self._logs / ".measuring.lock").open("wb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                bench.say(f"{question.name}: waits until another examination has measured")
                _wait_for(lock, lambda: bench.say(f"{question.name}: still waits"))
            yield

    def _log(self, version: Version) -> Path:
        self._logs.mkdir(parents=True, exist_ok=True)
        return self._logs / f"certification-{hex_of(version.digest)[:12]}.log"


def _wait_for(lock: IO[bytes], say: Callable[[], None]) -> None:
    """Take the lock; a line of progress now and then, which also tells whether anybody still wants it."""
    told = time.monotonic()
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOCK_LOOK_S)
        if time.monotonic() - told > _TELL_EVERY_S:
            told = time.monotonic()
            say()

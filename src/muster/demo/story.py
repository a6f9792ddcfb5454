"""The ten steps, in their order."""

import time
from contextlib import ExitStack, redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from muster.client.rows import rows_of
from muster.demo import evidence, faults, governance, lab, scoring
from muster.demo.customers import read_customers
from muster.demo.factory import RunningFactory, muster_command, named, running_factory
from muster.demo.governance import CONSUMER, ENDPOINT, People, certify
from muster.demo.lab import Lab, Trained
from muster.demo.load import Aim
from muster.demo.screen import Screen, Step
from muster.wire import control

LINEAR, FOREST, BOOSTING = "churn:1", "churn:2", "churn:3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How the story ended."""

    home: Path
    seconds: float


def tell(home: Path, screen: Screen) -> Told:
    """Play the whole story.

    Args:
        home: where the factory's home is made: a folder that is not there or is empty.
        screen: where it appears.

    Raises:
        ClaimDoesNotHold: something that a step claims was not so.
        MusterError: something that must go well did not.
    """
    began = time.monotonic()
    with ExitStack() as until:
        with screen.step(1, "A factory, and three people") as step:
            factory, people = _start(step, home, until)
        with screen.step(2, "Three models leave the lab") as step:
            desk = lab.open_lab(home / "lab", read_customers())
            trained = _train_and_register(step, people, desk)
        with screen.step(3, "Certified: what is broken, not true or one's own work is refused") as step:
            verdicts, blind, slow = _refusals(step, people, factory, desk, trained)
        with screen.step(4, "Accepted, released") as step:
            _certify_and_release(step, people, verdicts, desk, blind)
        aim = _aim_of(factory, people, desk)
        with screen.step(5, "2,000 real customers over HTTP") as step:
            versions = dict(zip((LINEAR, FOREST, BOOSTING), (one.model for one in trained), strict=True))
            scored = scoring.score_everybody(step, aim, people.olga, desk, versions)
        with screen.step(6, "A champion that is slow for some customers, and the way back") as step:
            _slow_champion(step, people, aim, desk, slow)
        with screen.step(7, "A process is killed") as step:
            faults.killed_host(step, factory, aim, BOOSTING)
        with screen.step(8, "One past request: its record, and the same computed again") as step:
            evidence.show_and_replay(step, people, scored.records)
        with screen.step(9, "The audit chain, and somebody who edits it") as step:
            evidence.verify_and_tamper(step, people, factory, home / "lab" / "tampered.db")
        with screen.step(10, "Where everything lies, and how to go on") as step:
            _end(step, factory)
    return Told(home=home, seconds=round(time.monotonic() - began, 1))


def _start(step: Step, home: Path, until: ExitStack) -> tuple[RunningFactory, People]:
    with step.progress("starting"):
        factory = until.enter_context(running_factory(home))
        people = governance.meet_people(factory, until)
    processes = factory.processes()
    health = people.admin.health()
    step.claim(
        f"factory {health.factory} runs on SQLite and a folder: {named(processes)}",
        holds={"supervisor", "control", "executor", "keeper", "front"} <= {entry.kind for entry in processes},
    )
    roles = {
        who.whoami().name: ", ".join(next(iter(who.whoami().roles.values())))
        for who in (people.ana, people.ben, people.olga)
    }
    step.claim(
        "; ".join(f"{name} is {role}" for name, role in roles.items()),
        holds=roles == {"ana": "scientist", "ben": "approver", "olga": "operator"},
    )
    step.say(
        f"control {factory.control}, scoring {factory.scoring}; {CONSUMER!r} is the application that asks for scores"
    )
    step.measured(control=factory.control, scoring=factory.scoring, processes=len(processes))
    return factory, people


def _train_and_register(step: Step, people: People, desk: Lab) -> list[Trained]:
    customers = desk.customers
    everybody = len(customers.training) + len(customers.sealed) + len(customers.new)
    step.say(
        f"{everybody:,} customers of a telephone company, {customers.training.shape[1]} facts each; "
        f"{customers.training_left.mean():.1%} left; {len(customers.new):,} are kept for production, "
        f"{len(customers.sealed):,} to judge models by"
    )  # fmt: skip
    recipes = lab.recipes(customers)
    trained, registered, seconds = [], [], []
    with step.progress("training, saving, registering", 3 * len(recipes)) as advance:
        for title, (make, notes) in recipes.items():
            advance(news=f"training a {title}")
            trained.append(lab.train(title, make, notes, customers))
            advance(done=3 * len(trained) - 2, news=f"saving the {title}: contract, golden answers, lock")
            began = time.monotonic()
            bundle = lab.save(trained[-1], desk)
            seconds.append(time.monotonic() - began)
            advance(done=3 * len(trained) - 1, news=f"registering the {title}")
            registered.append(governance.register(people, bundle))
            advance(done=3 * len(trained))
    step.table(
        ("version", "model", "AUC", "trained s", "saved s", "digest"),
        [
            (version.version, one.title, f"{one.auc:.4f}", f"{one.training_s:.1f}", f"{took:.1f}", version.digest[:19] + "…")
            for version, one, took in zip(registered, trained, seconds, strict=True)
        ],
    )  # fmt: skip
    step.claim(
        f"registered as {', '.join(version.version for version in registered)}, with release notes and notebook",
        holds=[version.version for version in registered] == [LINEAR, FOREST, BOOSTING]
        and all({"NOTES.md", "notebook.ipynb"} <= {file.path for file in version.files} for version in registered),
    )
    again = governance.register(people, desk.bundle(trained[0].title))
    step.claim(
        f"the same bytes again are the same version: {again.version}", holds=again.digest == registered[0].digest
    )
    step.measured(
        versions={
            version.version: {"title": one.title, "auc": round(one.auc, 4), "digest": version.digest}
            for version, one in zip(registered, trained, strict=True)
        }
    )
    return trained


def _refusals(
    step: Step, people: People, factory: RunningFactory, desk: Lab, trained: list[Trained]
) -> tuple[dict[str, control.Certification], str, control.Certification]:
    """What must not pass does not; the verdicts on three that do, a version that does not, and the verdict on the slow one."""
    spoilt = desk.folder / "spoilt"
    spoilt.mkdir()
    linear, forest = desk.bundle("logistic regression"), desk.bundle("random forest")
    governance.refuse_broken_bundles(
        step,
        people,
        lab.without_golden_answers(linear, spoilt / "incomplete"),
        lab.changed_on_the_way(linear, spoilt / "changed.zip"),
    )
    saving = step.progress("saving a model that is blind to some customers, and one that asks an old system")
    with saving, redirect_stderr(StringIO()) as remarks:
        blind, slow = lab.save_blind_model(trained[-1], desk), lab.save_slow_model(trained[-1], desk)
    step.say(remarks.getvalue().strip().splitlines()[-1])
    trace = desk.folder / "owned"
    bundles = (
        lab.with_golden_answers_of(linear, forest, spoilt / "untrue"),
        blind,
        lab.with_hidden_command(blind, spoilt / "hidden", trace),
        slow,
    )
    untrue, partly_blind, owned, asking = (governance.register(people, bundle).version for bundle in bundles)
    governance.seal_judgement(step, people, lab.sealed_file(desk), lab.LABEL)
    step.say("certification comes next; the first one builds the environment, and downloads what its lock names")
    good = (LINEAR, FOREST, BOOSTING)
    verdicts = certify(step, people, (untrue, partly_blind, owned, *good, asking))
    governance.show_untrue_answers(step, people, verdicts[untrue])
    governance.show_refusal(
        step, "a model that is good on the whole and blind to some customers", verdicts[partly_blind], "slices-hold"
    )
    governance.show_refusal(
        step, "a model file that runs a command when it is loaded", verdicts[owned], "no-malicious-code"
    )
    step.claim("the command was not run", holds=not trace.exists())
    governance.refuse_own_approval(step, people, factory, LINEAR)
    return {version: verdicts[version] for version in good}, partly_blind, verdicts[asking]


def _certify_and_release(
    step: Step, people: People, verdicts: dict[str, control.Certification], desk: Lab, refused: str
) -> None:
    governance.show_checks(step, verdicts.values())
    step.claim(
        f"certified: {', '.join(verdicts)}, {sum(len(verdict.checks) for verdict in verdicts.values())} checks passed",
        holds=all(verdict.passed for verdict in verdicts.values()),
    )
    environments = {people.ana.version(version).certificate.environment for version in verdicts}  # type: ignore[union-attr]
    step.say(f"they run in {len(environments)} environment(s) of their own: {', '.join(sorted(environments))[:60]}…")
    governance.show_evidence(step, people, BOOSTING, refused, desk.folder)
    governance.accept(step, people, verdicts, "AUC and golden answers looked at, notes read")
    governance.release(
        step, people, champion=LINEAR, reason="the first release, a simple one", approval="agreed with the call centre"
    )
    governance.release(
        step,
        people,
        champion=BOOSTING,
        challengers=[FOREST],
        canaries=[LINEAR],
        reason="the better model; the forest as challenger",
        approval="the better AUC is worth it",
    )


def _aim_of(factory: RunningFactory, people: People, desk: Lab) -> Aim:
    return Aim(
        scoring=factory.scoring,
        token=people.call_centre_token,
        endpoint=ENDPOINT,
        output=lab.OUTPUT,
        rows=rows_of(desk.customers.new),
    )


def _slow_champion(step: Step, people: People, aim: Aim, desk: Lab, verdict: control.Certification) -> None:
    version = verdict.version
    step.claim(
        f"{version} is certified: nothing in its golden rows shows what it does to some customers", holds=verdict.passed
    )
    governance.accept(step, people, [version], "golden answers as before")
    faults.slow_champion(step, people, aim, desk, faults.Roster(champion=version, challenger=FOREST, canary=BOOSTING))


def _end(step: Step, factory: RunningFactory) -> None:
    home = factory.home
    with step.progress("ending the factory"):
        code = factory.end()
    left = muster_command("ps", "--home", str(home)).document
    step.claim(
        f"the factory has ended in order (code {code}), and nothing of it still runs", holds=code == 0 and not left
    )
    step.table(
        ("what", "where"),
        [
            ("database, audit chain", f"{home}/muster.db, {home}/audit/"),
            ("bundles, by digest", f"{home}/store/"),
            ("environments", f"{home}/environments/"),
            ("decision records", f"{home}/archive/"),
            ("logs", f"{home}/logs/"),
            ("the lab", f"{home}/lab/"),
        ],
    )
    step.say(f"go on with it:         muster up --home {home}")
    step.say(f"and look around with:  MUSTER_HOME={home} muster requests churn --last 10")
    step.say("start one to stay:     make up        (without a checkout: muster up)")
    step.say("your own model:        docs/how-to/first-model-in-production.md")
    step.measured(exit_code=code)

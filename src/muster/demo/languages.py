"""`muster demo --languages`: the same model in every language that this machine has tools for, behind one endpoint."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from muster.client.rows import rows_of
from muster.demo.customers import read_customers
from muster.demo.errors import DemoNeedsMore
from muster.demo.factory import Process, RunningFactory, muster_command, running_factory
from muster.demo.governance import ENDPOINT, People, certify, meet_people
from muster.demo.screen import Screen, Step
from muster.vocabulary.states import ReleaseState

OUTPUT = "churn_probability"
EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "languages"
DEADLINE = "3s"
#: Customers whom every language is asked about, one at a time.
_ASKED = 100
_BACK_WITHIN_S = 30.0
_AGREED = 0.5
#: Models of one kind, trained on the same customers, seldom disagree on who leaves; trees and regressions do at times.
_LEAST_ALIKE = 0.75
_ANALYST = "analyst"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """A model in one language: its bundle, and the version that it became."""

    name: str
    """Of the example: `go`."""
    bundle: Path
    version: str
    toolchain: str


def tell(home: Path, screen: Screen) -> None:
    """Play the story.

    Args:
        home: where the factory's home is made: a folder that is not there or is empty.
        screen: where it appears.

    Raises:
        ClaimDoesNotHold: something that a step claims was not so.
        DemoNeedsMore: there are no examples here to train from.
        MusterError: something that must go well did not.
    """
    if not (EXAMPLES / "make.py").is_file():
        raise DemoNeedsMore("`muster demo --languages` trains the examples of a checkout, and there is none here")
    with ExitStack() as until:
        with screen.step(1, "One model, trained in every language that is here") as step:
            bundles = _train(step, home.with_name(f"{home.name}-lab"))
        with screen.step(2, "Registered, certified and accepted, each in its own environment") as step:
            factory = until.enter_context(running_factory(home))
            people = meet_people(factory, until)
            spoken = _pass_all(step, people, bundles)
        with screen.step(3, "One endpoint: a consumer cannot tell who answers") as step:
            _release(step, people, spoken)
            client = until.enter_context(_analyst(factory, people))
            _ask_everybody(step, client, spoken)
        with screen.step(4, "A program is killed, whatever it is written in") as step:
            for one in spoken:
                _kill(step, factory, client, one)
        with screen.step(5, "An environment, built again with the network cut") as step:
            _rebuild(step, factory, spoken)
        with screen.step(6, "The end") as step:
            code = factory.end()
            left = muster_command("ps", "--home", str(home)).document
            step.claim(f"the factory has ended in order (code {code}), and nothing of it still runs", holds=not left)
            step.say("your own model: docs/how-to/bring-a-model/README.md")


def _train(step: Step, lab: Path) -> dict[str, Path]:
    """Train and assemble all examples; what this machine lacks is named."""
    step.say(f"training and assembling in {lab}; what a language needs is built once and kept")
    command = [sys.executable, str(EXAMPLES / "make.py"), str(lab), "--json"]
    with step.progress("training") as advance, subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:  # fmt: skip
        assert run.stdout is not None
        assert run.stderr is not None
        for line in run.stderr:
            advance(news=line.strip())
        printed = run.stdout.read()
    made: list[dict[str, Any]] = json.loads(printed or "[]")
    step.table(
        ("example", "seconds", ""),
        [(one["name"], f"{one['seconds']:.1f}", "ready" if one["bundle"] else one["reason"]) for one in made],
    )
    for one in made:
        if one["is_missing"]:
            step.say(f"left out: {one['name']}: {one['reason']}")
    failed = [one["name"] for one in made if not one["bundle"] and not one["is_missing"]]
    bundles = {one["name"]: Path(one["bundle"]) for one in made if one["bundle"]}
    step.claim(
        f"{len(bundles)} bundles: {', '.join(bundles)}" + (f"; failed: {', '.join(failed)}" if failed else ""),
        holds=len(bundles) > 1 and not failed,
    )
    step.measured(languages=list(bundles), left_out=[one["name"] for one in made if one["is_missing"]])
    return bundles


def _pass_all(step: Step, people: People, bundles: dict[str, Path]) -> list[Spoken]:
    spoken = []
    for name, bundle in bundles.items():
        version = people.ana.register(bundle).version
        verdict = certify(step, people, [version])[version]
        failed = [f"{check.name}: {check.figure} (limit {check.limit})" for check in verdict.checks if not check.passed]
        step.claim(
            f"{version} ({name}) is certified: {len(verdict.checks)} checks{'; ' + '; '.join(failed) if failed else ''}",
            holds=verdict.passed,
        )
        people.ben.accept(version, reason=f"the one in {name} answers as its training program did")
        spoken.append(Spoken(name=name, bundle=bundle, version=version, toolchain=_toolchain(bundle)))
    return spoken


def _toolchain(bundle: Path) -> str:
    from muster.packaging.documents import read_description  # noqa: PLC0415 - slow to load, needed late

    runtime = read_description(bundle).runtime
    return runtime.interpreter if "-" in runtime.interpreter else f"python-{runtime.interpreter}"


def _release(step: Step, people: People, spoken: list[Spoken]) -> None:
    first, *others = spoken
    proposed = people.ana.propose(
        ENDPOINT,
        champion=first.version,
        challengers=[one.version for one in others],
        deadline=DEADLINE,
        reason="every language side by side",
    )
    with step.progress(
        f"release {proposed.release}: loading {len(spoken)} models, golden check, warm-up, switch"
    ) as advance:
        live = people.ben.approve(
            ENDPOINT, proposed.release, "let them all answer", progress=lambda found: advance(news=str(found.state))
        )
    step.claim(
        f"release {live.release} is live: champion {first.version} ({first.name}), {len(others)} challengers"
        + (f" ({live.failure})" if live.failure else ""),
        holds=live.state is ReleaseState.LIVE,
    )


def _analyst(factory: RunningFactory, people: People) -> httpx.Client:
    """An application that may say who shall answer."""
    token = people.admin.add_user(_ANALYST, "consumer", may=["override"]).token
    return httpx.Client(base_url=factory.scoring, headers={"Authorization": f"Bearer {token}"}, timeout=30.0)


def _ask(client: httpx.Client, rows: list[dict[str, Any]], version: str | None = None) -> httpx.Response:
    headers = {"Muster-Variant": version} if version else {}
    return client.post(f"/score/{ENDPOINT}", json={"rows": rows}, headers=headers)


def _ask_everybody(step: Step, client: httpx.Client, spoken: list[Spoken]) -> None:
    customers = read_customers()
    rows = rows_of(customers.new.head(_ASKED))
    left = [bool(value) for value in customers.new_left[:_ASKED]]
    said: dict[str, list[float]] = {}
    shown = []
    for one in spoken:
        took = []
        said[one.name] = []
        for row in rows:
            began = time.monotonic()
            answer = _ask(client, [row], one.version)
            took.append((time.monotonic() - began) * 1000)
            if answer.status_code != httpx.codes.OK:
                step.claim(f"{one.name} answers: HTTP {answer.status_code} {answer.text[:200]}", holds=False)
            said[one.name].append(float(answer.json()["answers"][0][OUTPUT]))
        shown.append(
            (
                one.name, one.version, one.toolchain, f"{_auc(said[one.name], left):.3f}",
                f"{_percentile(took, 0.5):.1f}", f"{_percentile(took, 0.99):.1f}", f"{said[one.name][0]:.6f}",
            )
        )  # fmt: skip
    step.table(("language", "version", "runs on", "AUC", "p50 ms", "p99 ms", "first customer"), shown)
    step.say("each request is computed by all of them: the milliseconds are those of a release with that many variants")
    together = zip(*said.values(), strict=True)
    alike = [len({value > _AGREED for value in values}) == 1 for values in together]
    share = sum(alike) / len(alike)
    step.claim(
        f"{len(rows)} customers, each asked of {len(spoken)} models over one address: all answered, all models agree on {share:.0%}",
        holds=share >= _LEAST_ALIKE,
    )
    step.measured(alike=share, answers=len(rows) * len(spoken))


def _percentile(took: list[float], share: float) -> float:
    return sorted(took)[min(len(took) - 1, int(share * len(took)))]


def _auc(said: list[float], left: list[bool]) -> float:
    """The share of pairs (one who left, one who stayed) that are in the right order."""
    gone = [value for value, is_gone in zip(said, left, strict=True) if is_gone]
    stayed = [value for value, is_gone in zip(said, left, strict=True) if not is_gone]
    if not gone or not stayed:
        return math.nan
    wins = sum((a > b) + 0.5 * (a == b) for a in gone for b in stayed)
    return wins / (len(gone) * len(stayed))


def _kill(step: Step, factory: RunningFactory, client: httpx.Client, one: Spoken) -> None:
    """Kill the process that runs a version, and see it answer again."""
    rows = rows_of(read_customers().new.head(1))
    before = _ask(client, rows, one.version).json()["answers"][0][OUTPUT]
    victim = factory.host_of(one.version)
    step.claim(f"{one.name} runs in process {victim.pid if victim else '?'}", holds=victim is not None)
    assert victim is not None
    os.kill(victim.pid, signal.SIGKILL)
    killed_at = time.monotonic()
    failed, after = 0, None
    while time.monotonic() - killed_at < _BACK_WITHIN_S:
        answer = _ask(client, rows, one.version)
        if answer.status_code == httpx.codes.OK:
            after = answer.json()["answers"][0][OUTPUT]
            break
        failed += 1
    back_ms = (time.monotonic() - killed_at) * 1000
    successor = _successor(factory, one, victim)
    step.claim(
        f"{one.name}: process {victim.pid} killed, {successor.pid if successor else '?'} took its place; the next answer "
        f"came after {back_ms:.0f} ms and is the same",
        holds=after == before and successor is not None,
    )
    step.measured(**{f"{one.name}_back_ms": round(back_ms, 1), f"{one.name}_failed": failed})


def _successor(factory: RunningFactory, one: Spoken, victim: Process) -> Process | None:
    until = time.monotonic() + _BACK_WITHIN_S
    while time.monotonic() < until:
        found = factory.host_of(one.version)
        if found is not None and found.pid != victim.pid:
            return found
        time.sleep(0.05)
    return None


def _rebuild(step: Step, factory: RunningFactory, spoken: list[Spoken]) -> None:
    """Build the environment of one version again, from the store alone."""
    compiled = [one for one in spoken if one.name in {"go", "rust", "java", "javascript"}]
    one = (compiled or spoken)[0]
    with step.progress(f"rebuilding the environment of {one.version} ({one.name})"):
        began = time.monotonic()
        ran = muster_command("env", "rebuild", one.version, "--offline", home=factory.home)
        seconds = time.monotonic() - began
    told = ran.document if ran.document is not None else ran.problem
    step.claim(
        f"`muster env rebuild {one.version} --offline` ({one.name}): built from the store in {seconds:.1f} s"
        + ("" if ran.code == 0 else f": {told}"),
        holds=ran.code == 0,
    )
    step.measured(rebuilt=one.version, rebuild_s=round(seconds, 1), rebuild=told)

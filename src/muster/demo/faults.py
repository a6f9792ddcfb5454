"""What goes wrong in production, while requests come in: a model that is slow for some, and a process that is killed."""

import os
import signal
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from muster.demo.customers import is_slow
from muster.demo.factory import RunningFactory
from muster.demo.governance import ENDPOINT, People, release
from muster.demo.lab import SLOW_DELAY_S, Lab
from muster.demo.load import Aim, Answer, Load, failed, percentile
from muster.demo.screen import Step
from muster.vocabulary.states import Reason
from muster.wire import control

RATE = 100.0
#: The newest records that can be asked for at once.
_RECORDS = 1000
#: How many requests about slow customers, and about others, are enough to see what happens to them.
_SLOW_WANTED = 5
_OTHERS_WANTED = 300
_CALM_ANSWERS = 100
_WITHIN_S = 40.0
#: How late a front may notice that the deadline has come, on a machine that does everything else, too.
_NOTICED_MS = 50.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """The versions that play in the second fault."""

    champion: str
    challenger: str
    canary: str


def slow_champion(step: Step, people: People, aim: Aim, lab: Lab, roster: Roster) -> Sequence[Answer]:
    """Release a champion that is slow for some customers, see everybody answered in time, and roll back; all under load."""
    slow = {int(position) for position in is_slow(lab.customers.new).to_numpy().nonzero()[0]}
    step.say(
        f"{len(slow)} of {len(aim.rows)} customers take the new champion {SLOW_DELAY_S * 1000:.0f} ms each; "
        "its golden rows hold nobody of them"
    )
    before = people.olga.releases(ENDPOINT).current
    with ExitStack() as until:
        load = until.enter_context(Load(aim, RATE))
        step.claim(
            "requests come in", holds=load.wait_for(lambda answers: len(answers) > _CALM_ANSWERS, within_s=_WITHIN_S)
        )
        live = release(
            step,
            people,
            champion=roster.champion,
            challengers=[roster.challenger],
            canaries=[roster.canary],
            reason="asks the old system as well",
            approval="certified, and the golden answers hold",
        )

        def seen_enough(answers: Sequence[Answer]) -> bool:
            under = [answer for answer in answers if answer.release == live.release]
            of_slow = sum(answer.customer in slow for answer in under)
            return of_slow >= _SLOW_WANTED and len(under) - of_slow >= _OTHERS_WANTED

        with step.progress(f"release {live.release} under {RATE:.0f} requests/s") as advance:
            advance(news="waiting for slow customers")
            load.wait_for(seen_enough, within_s=_WITHIN_S)
        back = _roll_back(step, people, live, before)
        calm_since = time.monotonic()
        step.claim(
            f"requests go on under release {back.to}",
            holds=load.wait_for(
                lambda _: len([a for a in load.since(calm_since) if a.release == back.to]) > _CALM_ANSWERS, within_s=_WITHIN_S
            ),
        )  # fmt: skip
    _show_slow(step, load.answers, live, slow)
    _show_in_time(step, people, load.answers, live)
    _no_failures(step, load.answers)
    later = [answer for answer in load.since(calm_since) if answer.status and answer.release != back.to]
    step.claim(f"nobody met release {live.release} after the roll back had taken effect", holds=not later)
    return load.answers


def _roll_back(step: Step, people: People, live: control.Release, before: int | None) -> control.RolledBack:
    """Olga goes back to what was current before; that needs nobody's approval."""
    back = people.olga.rollback(ENDPOINT, reason="slow for customers who pay by credit card")
    step.claim(
        f"olga rolls back from release {back.from_release} to {back.to}: in effect everywhere after {back.effective_ms:.0f} ms",
        holds=back.from_release == live.release and back.to == before,
    )
    step.measured(effective_ms=round(back.effective_ms, 2))
    return back


def _show_slow(step: Step, answers: Sequence[Answer], live: control.Release, slow: set[int]) -> None:
    """Under the slow champion: who answered whom, and when."""
    under = [answer for answer in answers if answer.release == live.release]
    of_slow = [answer for answer in under if answer.customer in slow]
    others = [answer for answer in under if answer.customer not in slow]
    rows = []
    for whom, group in (("slow customers", of_slow), ("everybody else", others)):
        for reason, count in Counter(answer.reason for answer in group).most_common():
            of_reason = [answer for answer in group if answer.reason == reason]
            by = ", ".join(sorted({answer.variant for answer in of_reason}))
            rows.append((whom, by, reason, count, *(f"{percentile(of_reason, share):.1f}" for share in (0.5, 1.0))))
    step.table(("asked about", "answered by", "reason", "requests", "p50 ms", "longest ms"), rows)
    reasons = Counter(str(answer.reason) for answer in of_slow)
    step.claim(
        f"no request about a slow customer waited for the champion: {_counted(reasons)}",
        holds=len(of_slow) > 0 and Reason.CHAMPION not in reasons and reasons[Reason.FALLBACK_LATE] > 0,
    )
    by_champion = [answer for answer in others if answer.reason == Reason.CHAMPION]
    step.claim(
        f"the champion answered {len(by_champion)} of {len(others)} others",
        holds=len(by_champion) > 0,
    )
    step.measured(
        requests_under_slow_champion=len(under),
        about_slow_customers=len(of_slow),
        answered_by_fallback=sum(answer.reason != Reason.CHAMPION for answer in under),
        reasons_under_slow_champion=Counter(str(answer.reason) for answer in under),
    )


def _show_in_time(step: Step, people: People, answers: Sequence[Answer], live: control.Release) -> None:
    """The decision records say when each request was answered, by the clock of the front that promised the deadline."""
    recorded = [one for one in people.olga.requests(ENDPOINT, _RECORDS).requests if one.release == live.release]
    longest = max((one.elapsed_ms for one in recorded), default=0.0)
    seen = percentile([answer for answer in answers if answer.release == live.release], 1.0)
    step.claim(
        f"every request was answered by its deadline of {live.deadline_ms:g} ms (a busy machine may be {_NOTICED_MS:g} ms "
        f"late): {len(recorded)} records, the longest took {longest:.0f} ms ({seen:.0f} ms for the caller)",
        holds=len(recorded) > 0 and longest <= live.deadline_ms + _NOTICED_MS,
    )
    step.measured(deadline_ms=live.deadline_ms, longest_ms=round(longest, 2), longest_for_caller_ms=round(seen, 2))


def _counted(reasons: Counter[str]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in reasons.most_common()) or "none"


def killed_host(step: Step, factory: RunningFactory, aim: Aim, champion: str) -> Sequence[Answer]:
    """Kill the champion's process with SIGKILL while requests come in, and see another one take its place."""
    with Load(aim, RATE, start=700) as load:
        step.claim(
            "requests come in", holds=load.wait_for(lambda answers: len(answers) > _CALM_ANSWERS, within_s=_WITHIN_S)
        )
        victim = factory.host_of(champion)
        step.claim(f"{champion} runs in process {victim.pid if victim else '?'}", holds=victim is not None)
        assert victim is not None
        killed_at = time.monotonic()
        os.kill(victim.pid, signal.SIGKILL)
        with step.progress(f"waiting for {champion} to answer again"):
            answers_again = load.wait_for(
                lambda _: any(a.variant == champion for a in load.since(killed_at + _settling_s())), within_s=_WITHIN_S
            )
        load.wait_for(lambda _: len(load.since(killed_at)) > 2 * _CALM_ANSWERS, within_s=_WITHIN_S)
        successor = factory.host_of(champion)
    after = load.since(killed_at)
    back_ms = min(((a.sent_at - killed_at) * 1000 + a.took_ms for a in after if a.variant == champion), default=0.0)
    stood_in = Counter(str(answer.reason) for answer in after if answer.reason != Reason.CHAMPION)
    step.claim(
        f"process {victim.pid} killed; process {successor.pid if successor else '?'} took its place",
        holds=answers_again and successor is not None and successor.pid != victim.pid,
    )
    step.say(
        f"requests answered by others meanwhile: {_counted(stood_in)}; "
        f"longest wait of a caller {percentile(after, 1.0):.0f} ms"
    )
    _no_failures(step, load.answers)
    step.measured(
        killed_pid=victim.pid,
        champion_back_ms=round(back_ms, 1),
        stood_in=stood_in,
        longest_ms=round(percentile(after, 1.0), 2),
    )
    return load.answers


def _settling_s() -> float:
    """Answers that were under way at the kill do not show that the champion is back."""
    return 0.1


def _no_failures(step: Step, answers: Sequence[Answer]) -> None:
    found = failed(answers)
    said = f": {found[0].status} {found[0].error}" if found else ""
    step.claim(f"{len(answers)} requests, {len(found)} failed{said}", holds=len(answers) > 0 and not found)
    step.measured(requests=len(answers), failed=len(found))

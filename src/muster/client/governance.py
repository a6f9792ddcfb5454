"""The verbs of standards, gates, waivers and delegations."""

from datetime import datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import msgspec

from muster.client.errors import OrderMalformed
from muster.client.transport import Transport
from muster.vocabulary.clock import rfc3339
from muster.vocabulary.names import VersionName, checked_name
from muster.wire import control, governance

Order = TypeVar("Order", bound=control.Order)
#: What is judged: a version (`churn:3`), a release (`("churn", 2)`), or a standard of the project by its number.
About = str | VersionName | tuple[str, int] | int


class Governance:
    """What a factory's client can say about standards and at gates; part of `muster.client.control.Factory`."""

    _transport: Transport
    _project: str

    # Standards.

    def standards(self) -> governance.Standards:
        """The standards of the project, the newest first."""
        return self._transport.get(f"{self._project}/standards", governance.Standards)

    def standard(self, number: int | None = None) -> governance.Standard:
        """One standard of the project; None: what holds now."""
        which = "current" if number is None else str(int(number))
        return self._transport.get(f"{self._project}/standards/{which}", governance.Standard)

    def propose_standard(self, text: str | Path, reason: str) -> governance.Standard:
        """Propose what shall hold in the project.

        Args:
            text: TOML, or the file that holds it.
            reason: why.
        """
        given = text.read_text(encoding="utf-8") if isinstance(text, Path) else text
        order = _order(governance.StandardOrder, text=given, reason=reason)
        return self._transport.post(f"{self._project}/standards", governance.Standard, order)

    def approve_standard(self, number: int, reason: str, *, for_person: str | None = None) -> governance.Standard:
        """Say yes to a proposed standard; never one's own proposal."""
        order = _order(governance.OpinionOrder, reason=reason, for_person=for_person)
        return self._transport.post(f"{self._standard(number)}/approve", governance.Standard, order)

    def reject_standard(self, number: int, reason: str) -> governance.Standard:
        """Turn a proposed standard down."""
        order = _order(control.ReasonOrder, reason=reason)
        return self._transport.post(f"{self._standard(number)}/reject", governance.Standard, order)

    def dry_run(self, standard: int | Path | str) -> governance.DryRun:
        """Which of the versions that are served now would fail a standard.

        Args:
            standard: number of one of the project's, or TOML, or the file that holds it.
        """
        if isinstance(standard, int):
            return self._transport.get(f"{self._standard(standard)}/dry-run", governance.DryRun)
        text = standard.read_text(encoding="utf-8") if isinstance(standard, Path) else standard
        order = _order(governance.DryRunOrder, text=text)
        return self._transport.post(f"{self._project}/standards/dry-run", governance.DryRun, order)

    # Gates.

    def review(self, about: About) -> governance.Review:
        """All that was said about a version, a release or a standard, and what it comes to."""
        return self._transport.get(f"{self._about(about)}/review", governance.Review)

    def request_changes(self, about: About, reason: str, *, for_person: str | None = None) -> governance.Review:
        """Keep the gate shut until you say otherwise; never for one's own work."""
        order = _order(governance.OpinionOrder, reason=reason, for_person=for_person)
        return self._transport.post(f"{self._about(about)}/review/changes", governance.Review, order)

    def comment(self, about: About, text: str) -> governance.Review:
        """Remark something; open to whoever may read."""
        order = _order(governance.CommentOrder, text=text)
        return self._transport.post(f"{self._about(about)}/review/comments", governance.Review, order)

    def withdraw_vote(self, about: About, reason: str) -> governance.Review:
        """Take back what you have said."""
        order = _order(control.ReasonOrder, reason=reason)
        return self._transport.post(f"{self._about(about)}/review/withdraw", governance.Review, order)

    def break_glass(self, endpoint: str, release: int, reason: str) -> control.Release:
        """Let a release go live at once without its approvals; it must be confirmed in time, or is rolled back by itself."""
        order = _order(control.ApprovalOrder, reason=reason, break_glass=True)
        return self._transport.post(f"{self._about((endpoint, release))}/approve", control.Release, order)

    def confirm(self, endpoint: str, release: int, reason: str, *, for_person: str | None = None) -> control.Release:
        """Agree afterwards with a release for which the glass was broken; never by who broke it."""
        order = _order(governance.OpinionOrder, reason=reason, for_person=for_person)
        return self._transport.post(f"{self._about((endpoint, release))}/confirm", control.Release, order)

    # Delegations and waivers.

    def delegations(self) -> governance.Delegations:
        """Who stands in for whom."""
        return self._transport.get(f"{self._project}/delegations", governance.Delegations)

    def delegate(
        self, to: str, ends: datetime | str, reason: str, *, starts: datetime | str | None = None
    ) -> governance.Delegation:
        """Let somebody vote in your place for a while; gives that person no right."""
        order = _order(governance.DelegationOrder, to=to, ends=_moment(ends), starts=_moment(starts), reason=reason)
        return self._transport.post(f"{self._project}/delegations", governance.Delegation, order)

    def end_delegation(self, delegation: str, reason: str) -> governance.Delegation:
        """End a delegation before its time."""
        order = _order(control.ReasonOrder, reason=reason)
        path = f"{self._project}/delegations/{quote(delegation, safe='')}/end"
        return self._transport.post(path, governance.Delegation, order)

    def waivers(self) -> governance.Waivers:
        """The waivers of the project, the newest first."""
        return self._transport.get(f"{self._project}/waivers", governance.Waivers)

    def ask_waiver(
        self, version: str | VersionName, check: str, ends: datetime | str, reason: str
    ) -> governance.Waiver:
        """Ask that a version may fail a check, or lack something, until a moment."""
        order = _order(governance.WaiverOrder, check=check, ends=_moment(ends), reason=reason)
        return self._transport.post(f"{self._about(version)}/waivers", governance.Waiver, order)

    def grant_waiver(self, waiver: str, reason: str) -> governance.Waiver:
        """Grant a waiver that somebody else asked for."""
        return self._decide(waiver, "grant", reason)

    def refuse_waiver(self, waiver: str, reason: str) -> governance.Waiver:
        """Refuse a waiver that somebody else asked for."""
        return self._decide(waiver, "refuse", reason)

    def _decide(self, waiver: str, deed: str, reason: str) -> governance.Waiver:
        order = _order(control.ReasonOrder, reason=reason)
        return self._transport.post(
            f"{self._project}/waivers/{quote(waiver, safe='')}/{deed}", governance.Waiver, order
        )

    def _standard(self, number: int) -> str:
        return f"{self._project}/standards/{int(number)}"

    def _about(self, about: About) -> str:
        if isinstance(about, int):
            return self._standard(about)
        if isinstance(about, tuple):
            return f"{self._project}/endpoints/{checked_name(about[0], of='endpoint')}/releases/{int(about[1])}"
        name = about if isinstance(about, VersionName) else VersionName.parse(about)
        return f"{self._project}/models/{name.model}/versions/{name.number}"


def _order(kind: type[Order], **fields: object) -> Order:
    """The order, if its fields are what the factory would take."""
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise OrderMalformed(str(error)) from error


def _moment(moment: datetime | str | None) -> str | None:
    return rfc3339(moment) if isinstance(moment, datetime) else moment

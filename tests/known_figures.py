"""Certificates for tests that are not about certification: as an examination leaves them, without a host."""

import secrets
from dataclasses import replace

from muster.certificates.signing import FactorySigner
from muster.certification import store
from muster.certification.records import LATENCY_CHECK, Certificate, Check, Examined
from muster.certification.timing import Latency
from muster.registry.records import Version
from muster.sessions import store as sessions_store
from muster.sessions.records import CERTIFICATION, Session
from muster.storage.transaction import Transaction
from muster.vocabulary.clock import Clock
from muster.vocabulary.digests import Digest, digest_of
from muster.vocabulary.states import SessionState


def latency(p999_ms: float, calls: int = 2000) -> Latency:
    """A model that takes up to so long."""
    return Latency(p50_ms=p999_ms / 4, p99_ms=p999_ms / 2, p999_ms=p999_ms, calls=calls, rounds=3)


def add_certificate(
    tx: Transaction,
    version: Version,
    clock: Clock,
    p999_ms: float | None = 1.0,
    twin: Digest | None = None,
    *,
    checks: tuple[str, ...] = (),
    signer: FactorySigner | None = None,
) -> None:
    """Keep a certificate of a version.

    Args:
        tx: where.
        version: which.
        clock: tells when.
        p999_ms: what it was found to take; None: it was certified by an earlier Muster, which did not measure that.
        twin: manifest of the compiled twin that it names.
        checks: further ones that passed, with the figure 0.
        signer: signs it; None: it is of a Muster that signed none, which gates take only if they know of no key.
    """
    now = clock.now()
    session = Session(
        id=f"s-{secrets.token_hex(16)}", kind=CERTIFICATION, subject=str(version.name), project=version.project,
        state=SessionState.PASSED, requested_by="ana", created_at=now, started_at=now, finished_at=now, executor="e0",
        progress=(), result=None,
    )  # fmt: skip
    sessions_store.add(tx, session)
    figures = {} if p999_ms is None else latency(p999_ms).figures()
    check = Check(name=LATENCY_CHECK, passed=True, figure=0.5, limit=1000.0, detail="", figures=figures)
    further = tuple(Check(name=name, passed=True, figure=0, limit=0) for name in checks)
    certificate = Certificate(
        session=session.id, version=version.name, project=version.project, digest=version.digest,
        environment=digest_of(b"environment"), hardware="a machine", checks=(check, *further), requested_by="ana", at=now, twin=twin,
    )  # fmt: skip
    if signer is not None:
        examined = Examined(
            checks=certificate.checks, environment=certificate.environment, hardware=certificate.hardware
        )
        certificate = replace(certificate, envelope=signer.signed(tx, certificate, examined))
    store.add(tx, certificate)

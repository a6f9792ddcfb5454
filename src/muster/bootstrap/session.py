"""Builds what works on one session: a process that the executor has forked, with a database connection of its own."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import structlog

from muster.bootstrap.factory import Factory, factory_of
from muster.bootstrap.home import Home
from muster.bootstrap.signed_certificates import given_key
from muster.certification.evaluated import newest_sealed
from muster.certification.examination import Examination
from muster.certification.options import CertificationOptions
from muster.serving.workers.watch import usable_memory_bytes
from muster.sessions.records import CERTIFICATION, Session
from muster.settings import Settings
from muster.workflows.work import Handler, Say, Worker

#: A host's part of what its session may take: the kernel lets it have 1.25 times of it, and the session's own process needs some.
_HOST_SHARE = 0.6
_MIB = 2**20
log = structlog.get_logger()


def work_of(home: Home) -> Callable[[Mapping[str, Any]], None]:
    """What such a process does with its order, which names a session and the attempt for which it was claimed."""

    def work(order: Mapping[str, Any]) -> None:
        factory = factory_of(home)
        try:
            session = factory.sessions.claimed(order["session"])
            if session.attempt != order["attempt"]:  # begun again by somebody else before this process was there
                return
            worker = Worker(database=factory.database, sessions=factory.sessions, is_stopping=lambda: False)
            worker.do(session, _handlers(factory)[session.kind])
        finally:
            factory.database.close()

    return work


def _handlers(factory: Factory) -> dict[str, Handler]:
    examination = examination_of(factory)

    def certify(session: Session, say: Say) -> None:
        factory.certification.run(session, say, examination)

    return {CERTIFICATION: certify}


def examination_of(factory: Factory) -> Examination:
    """The bench on which versions are examined on this machine."""
    home = factory.home
    return Examination(
        blobs=factory.blobs,
        environments=factory.environments,
        bundles=home.bundles,
        logs=home.logs,
        options=CertificationOptions(
            latency_limit_ms=home.settings.certification.latency_limit_ms,
            prove_rebuild=home.settings.certification.prove_rebuild,
            host_memory_mib=host_memory_mib(home.settings),
            kept=kept_from_models(home),
            try_generated=home.settings.certification.try_generated,
        ),
        past=factory.past,
        evaluations=factory.evaluations,
        champions=factory.champions.of_model,
        sealed=newest_sealed(factory.evaluations),
        sources=factory.sources.of,
    )


def _keys(home: Home) -> dict[str, Path]:
    """The files that a certificate's private key is in: those in the home, which a rotation gives other names, and the operator's."""
    found = {f"the key of certificates {file.name}": file for file in sorted(home.keys.glob("certificates*.pem"))}
    given = given_key(home)
    return found if given is None else {**found, "the operator's key of certificates": given}


def session_memory_mib(settings: Settings) -> int:
    """What a certification may take on this machine, MiB; 0: no limit."""
    return usable_memory_bytes(settings.certification.session_memory_mib * _MIB) // _MIB


def host_memory_mib(settings: Settings) -> int:
    """What a host may hold while it is examined, MiB: what it may hold when it serves; 0: no limit.

    Never so much that the session would be ended before the host: that would say nothing of the version.
    """
    serving = usable_memory_bytes(settings.serving.host_memory_mib * _MIB) // _MIB
    session = int(session_memory_mib(settings) * _HOST_SHARE)
    return min(serving, session) if serving and session else serving or session


def kept_from_models(home: Home) -> dict[str, str]:
    """What no model has any business with."""
    kept = {
        "the admin's token": home.admin_token,
        "the fronts' token": home.front_token,
        "the settings": home.path / "settings.toml",
        "the audit journal's head": home.audit_head,
        **_keys(home),
    }
    place = home.database_url.removeprefix("sqlite:///")
    if place != home.database_url:
        kept["the database"] = Path(place)
    return {what: str(file) for what, file in kept.items()}

"""Builds a control process: the REST API over the services, and the clockwork that takes releases live."""

import argparse
import contextlib
import shutil
import threading

import structlog

from muster.api.app import create_app
from muster.api.server import serve
from muster.api.services import Services
from muster.bootstrap.factory import Factory, factory_of
from muster.bootstrap.home import Home
from muster.bootstrap.metrics import metrics_address
from muster.bootstrap.process import listener_of
from muster.catalogue.service import Catalogue
from muster.migrations.runner import migrate
from muster.release.resolving import References
from muster.storage.transaction import Database
from muster.telemetry.metrics_door import shown_in_thread
from muster.vocabulary.errors import MusterError

_ADVANCE_EVERY_S = 0.5
log = structlog.get_logger()


def run(home: Home, given: argparse.Namespace) -> None:
    """Answer on the socket that was handed over, until SIGTERM."""
    _bring_up_to_date(home)
    shutil.rmtree(home.scratch, ignore_errors=True)  # uploads that a killed control left behind
    home.scratch.mkdir(exist_ok=True)
    factory = factory_of(home)
    stopping = threading.Event()
    factory.access.publish_again()  # fronts may follow a list that an older version of Muster made
    clockwork = threading.Thread(target=_advance, args=(factory, stopping), name="release.advance")
    clockwork.start()
    log.info("control.started", control=given.control, scoring=given.scoring)
    try:
        services = _services(factory, scoring_url=given.scoring or None)
        with shown_in_thread(metrics_address(home, "control"), services.counts.render):
            serve(create_app(services), listener_of(given))
    finally:
        stopping.set()
        clockwork.join()
        with contextlib.suppress(MusterError):
            factory.access.note_uses(at_once=True)
        factory.database.close()
        log.info("control.stopped")


def _bring_up_to_date(home: Home) -> None:
    database = Database(home.database_url)
    try:
        migrate(database)
    finally:
        database.close()


def _services(factory: Factory, *, scoring_url: str | None) -> Services:
    home = factory.home
    return Services(
        factory=home.factory.factory,
        solo=home.factory.solo,
        access=factory.access,
        projects=factory.projects,
        groups=factory.groups,
        roles=factory.roles,
        sign_in=factory.sign_in,
        oidc=factory.oidc,
        registry=factory.registry,
        sessions=factory.sessions,
        certification=factory.certification,
        evaluations=factory.evaluations,
        metrics=factory.metrics,
        keys=factory.keys,
        certificates=factory.certificates,
        notices=factory.notices,
        advisories=factory.governance.advisories,
        standards=factory.governance.standards,
        project_checks=factory.governance.project_checks,
        reviews=factory.governance.reviews,
        delegations=factory.governance.delegations,
        dry_runs=factory.governance.dry_runs,
        approvals=factory.approvals,
        releases=factory.releases,
        live_tests=factory.live_tests,
        references=References(factory.database, factory.registry),
        catalogue=Catalogue(factory.database),
        dossiers=factory.dossiers,
        requests=factory.requests,
        replays=factory.replays,
        simulations=factory.simulations,
        exporting=factory.exporting,
        retention=factory.retention,
        consumers=factory.consumers,
        sources=factory.sources,
        version_profiles=factory.version_profiles,
        journal=factory.journal,
        board=factory.board,
        database=factory.database,
        audit_head=home.audit_head,
        uploads=home.scratch,
        upload_bytes=home.settings.control.upload_bytes,
        scoring_url=scoring_url,
        metrics_token=home.settings.metrics.token,
    )


def _advance(factory: Factory, stopping: threading.Event) -> None:
    """Fronts that fall silent send no report: somebody has to look at the time. Uses of tokens are noted on the way."""
    while not stopping.wait(_ADVANCE_EVERY_S):
        try:
            factory.releases.advance()
            factory.access.note_uses()
        except MusterError as error:  # the database is away or locked: it comes back
            log.warning("release.advance_held_up", code=error.code, message=error.message)

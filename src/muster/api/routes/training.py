"""What versions were made of: data sources, profiles of training data."""

from typing import Annotated

from litestar import get, post
from litestar.params import JSONBody, PathParameter

from muster.api import convert_training
from muster.api.parameters import ModelName, VersionNumber
from muster.api.services import Caller, Given
from muster.vocabulary.names import VersionName
from muster.wire import control, training

TAG = "training"
SourceName = Annotated[str, PathParameter(pattern=r"^[a-z][a-z0-9-]{0,62}$", description="Name of the data source.")]


@get("/sources", sync_to_thread=True, operation_id="listSources", tags=[TAG])
def list_sources(services: Given, call: Caller) -> training.DataSources:
    """The places from which the factory may read data that bundles of the project name."""
    return training.DataSources(sources=tuple(map(convert_training.source, services.sources.listed(call))))


@post("/sources", sync_to_thread=True, operation_id="addSource", tags=[TAG])
def add_source(services: Given, call: Caller, data: JSONBody[training.SourceOrder]) -> training.DataSource:
    """Register a place from which the factory may read data; nothing else is ever fetched. Takes the right manage-sources."""
    return convert_training.source(services.sources.add(call, data.name, data.uri, data.reason))


@post("/sources/{source:str}/remove", status_code=200, sync_to_thread=True, operation_id="removeSource", tags=[TAG])
def remove_source(
    services: Given, call: Caller, source: SourceName, data: JSONBody[control.ReasonOrder]
) -> training.DataSource:
    """Read nothing from there any more; what was read is kept. Takes the right manage-sources."""
    return convert_training.source(services.sources.remove(call, source, data.reason))


@get(
    "/models/{model:str}/versions/{number:int}/profile",
    sync_to_thread=True,
    operation_id="getProfile",
    tags=[TAG],
)
def get_profile(services: Given, call: Caller, model: ModelName, number: VersionNumber) -> training.VersionProfile:
    """The profile of the data that a version was trained on: computed by the factory, or as the author declared it."""
    return convert_training.version_profile(services.version_profiles.of(call, VersionName(model, number)))


HANDLERS = (list_sources, add_source, remove_source, get_profile)

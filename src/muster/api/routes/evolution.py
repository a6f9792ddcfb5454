"""Changes of contracts, and what consumers say to them."""

from litestar import get, post
from litestar.params import JSONBody

from muster.api import convert_evolution
from muster.api.parameters import EndpointName, ReleaseNumber
from muster.api.services import Caller, Given
from muster.wire import evolution

TAG = "contracts"
_RELEASE = "/endpoints/{endpoint:str}/releases/{number:int}"


@get(f"{_RELEASE}/breaks", sync_to_thread=True, operation_id="reviewContract", tags=[TAG])
def review(services: Given, call: Caller, endpoint: EndpointName, number: ReleaseNumber) -> evolution.ContractReview:
    """What a release changes of the contract that is current, field by field, and which consumers have agreed.

    Readers may ask, and whoever may score at the endpoint.
    """
    return convert_evolution.contract_review(services.releases.evolution.review(call, endpoint, number))


@post(f"{_RELEASE}/acknowledge", status_code=200, sync_to_thread=True, operation_id="acknowledgeRelease", tags=[TAG])
def acknowledge(
    services: Given,
    call: Caller,
    endpoint: EndpointName,
    number: ReleaseNumber,
    data: JSONBody[evolution.AcknowledgementOrder],
) -> evolution.ContractReview:
    """Agree to what a proposed release breaks: as a consumer of the endpoint, or on behalf of one."""
    evolving = services.releases.evolution
    return convert_evolution.contract_review(
        evolving.acknowledge(call, endpoint, number, data.reason, consumer=data.consumer)
    )


HANDLERS = (review, acknowledge)

"""What the API itself can find wrong with a request, before any service has seen it."""

from muster.vocabulary.errors import Invalid, MusterError, NotAllowed, NotFound, Unavailable


class RequestMalformed(Invalid):
    """The body, a parameter or a header is not what the address takes; `problems` in the facts says where."""

    code = "api.request-malformed"
    advice = "docs/reference/rest.md and /api/v1/openapi.json describe what every address takes."


class RouteUnknown(NotFound):
    """The API has no such address."""

    code = "api.route-unknown"
    advice = "docs/reference/rest.md and /api/v1/openapi.json list every address."


class MethodUnknown(Invalid):
    """The address exists, but not with this HTTP method."""

    code = "api.method-unknown"
    advice = "The header Allow names the methods that it takes."


class ContentTypeUnfit(Invalid):
    """The body is said to be something else than what the address takes. Forms of web pages are among what is refused."""

    code = "api.content-type-unfit"
    advice = "Orders are `Content-Type: application/json` in UTF-8, bundles `application/zip`; `curl -d` needs the header named."


class CrossOrigin(NotAllowed):
    """A browser sends the order for a page of another origin; the page could not have asked for that by itself."""

    code = "api.cross-origin"
    advice = (
        "Orders come from programs, or from pages of the factory's own origin; a proxy has to hand the header Host on."
    )


class BodyTooLarge(Invalid):
    """The body is larger than the address takes."""

    code = "api.body-too-large"
    advice = "Name large files by reference in muster.toml, or have `control.upload_bytes` in settings.toml raised."


class UploadsUnwritable(Unavailable):
    """The factory has no room, or no right, to keep a bundle while it is received."""

    code = "api.uploads-unwritable"
    advice = "Free space on the disk of the home, then register again."


class InternalFault(MusterError):
    """A fault inside Muster: not what was asked is wrong, but how it was carried out. The log has the details."""

    code = "api.internal"
    advice = "Ask again; if it stays, `muster logs control` shows what happened, under the id in the facts."

"""`GET /v1/models` and `POST /v1/chat/completions`, as OpenAI's clients speak them.

An OCR model has no conversation: the last user message is the prompt, its pictures (or those of the
latest user message that has some) are what is read, and whatever else a request says is named in
`warnings`. Content is the model's raw output where the request shows that it knows the markup (its
prompt holds `<|grounding|>`, or `skip_special_tokens` is false), else the text without references.
"""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request, Response
from PIL.Image import Image
from typing_extensions import TypedDict

from airgap.core.engine import check_capabilities
from airgap.core.errors import NotFound
from airgap.dialects.inputs import fetcher_of, picture_of
from airgap.dialects.openai_answer import Answer, Completion
from airgap.dialects.openai_request import ChatRequest
from airgap.http.live import Admitted, LiveResponse
from airgap.http.responses import unless_gone
from airgap.http.service import ReadyService, Service, ServiceDep
from process.pipeline import Reader

router = APIRouter(prefix="/v1", tags=["openai"])


class Model(TypedDict):
    """The model as OpenAI's clients list it."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class Models(TypedDict):
    """What there is."""

    object: Literal["list"]
    data: list[Model]


@router.get("/models", summary="The one model that is loaded")
async def models(service: ServiceDep) -> Models:
    return {"object": "list", "data": [_model(service)]}


@router.get("/models/{name:path}", summary="That model, by its name")
async def model(service: ServiceDep, name: str) -> Model:
    if name != service.engine.model:
        raise NotFound(f"There is no model {name[:100]!r}.", "GET /v1/models lists what there is.")
    return _model(service)


def _model(service: Service) -> Model:
    engine = service.engine
    return {"id": engine.model, "object": "model", "created": 0, "owned_by": engine.name}


@router.post(
    "/chat/completions",
    summary="Read the pictures of a message",
    response_model=None,
    responses={200: {"model": Completion, "content": {"text/event-stream": {}}}},
)
async def chat_completions(
    request: Request, service: ReadyService, body: ChatRequest, _: Admitted
) -> Completion | Response:
    options = body.options(service)
    fetcher = fetcher_of(request)
    limit = service.settings.max_image_pixels
    images = [await picture_of(text, fetcher, limit) for text in body.images()]
    groups = _groups(service.reader, images)
    for group in groups:
        check_capabilities(service.engine.capabilities, len(group), options)
    answer = Answer(service.reader, groups, options, raw=body.is_raw(), warnings=body.ignored(service))
    if not body.stream:
        return await unless_gone(request, answer.whole())
    usage = body.stream_options is not None and body.stream_options.include_usage
    return LiveResponse(answer.chunks(include_usage=usage), media_type="text/event-stream")


def _groups(reader: Reader, images: list[Image]) -> list[list[Image]]:
    """What goes to the engine at once: everything where it takes that much, else picture by picture."""
    if len(images) <= reader.engine.capabilities.max_images:
        return [images]
    return [[image] for image in images]

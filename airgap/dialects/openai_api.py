"""`GET /v1/models` and `POST /v1/chat/completions`, as OpenAI's clients speak them.

An OCR model has no conversation: the last user message is the prompt, its pictures (or those of the
latest user message that has some) are what is read, and whatever else a request says is named in
`warnings`. A PDF is read page by page. Content is the model's raw output where the request shows that it
knows the markup (its prompt holds `<|grounding|>`, or `skip_special_tokens` is false), else the text
without references.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response
from typing_extensions import TypedDict

from airgap.core.document import ReadOptions
from airgap.core.engine import check_capabilities
from airgap.core.errors import NotFound, UnsupportedOption
from airgap.dialects.inputs import fetcher_of, file_of
from airgap.dialects.openai_answer import Answer, Completion
from airgap.dialects.openai_request import ChatRequest
from airgap.http.forms import NO_PICTURE
from airgap.http.json_bodies import JsonRoute
from airgap.http.live import Admitted, LiveResponse
from airgap.http.opening import check_together, opened_together
from airgap.http.responses import unless_gone
from airgap.http.service import ReadyService, Service, ServiceDep
from airgap.monitoring import trace
from process.pages import Source
from process.pipeline import Reader

router = APIRouter(prefix="/v1", tags=["openai"], route_class=JsonRoute)


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


async def opened_pictures(
    request: Request, service: ReadyService, body: ChatRequest, _: Admitted
) -> AsyncIterator[list[Source]]:
    """The message's pictures, open until the answer was sent; none where the engine cannot read so many."""
    options, texts = body.options(service), body.images()
    check_capabilities(service.engine.capabilities, 1, replace(options, language=None))
    if not texts and not service.engine.capabilities.text_only:
        yield []
        return
    at_once = len(texts) if _together(service.reader, len(texts)) else 1
    check_capabilities(service.engine.capabilities, at_once, options)
    fetcher = fetcher_of(request)
    files = [await file_of(text, fetcher) for text in texts]
    async with opened_together(service, files, body.opening()) as pages:
        if _together(service.reader, len(pages)):
            check_together(service, pages)
        yield pages


@router.post(
    "/chat/completions",
    summary="Read the pictures of a message",
    response_model=None,
    responses={200: {"model": Completion, "content": {"text/event-stream": {}}}},
)
async def chat_completions(
    request: Request,
    service: ReadyService,
    body: ChatRequest,
    sources: Annotated[list[Source], Depends(opened_pictures)],
) -> Completion | Response:
    options = body.options(service)
    if not sources and not service.engine.capabilities.text_only:
        return _without_a_page(service, body)
    together = _together(service.reader, len(sources))
    groups = [sources] if together else [[source] for source in sources]
    await trace.promise_pages(len(groups))
    answer = Answer(service.reader, groups, options, form=body.form(), warnings=body.ignored(service))
    if not body.stream:
        return await unless_gone(request, answer.whole())
    usage = body.stream_options is not None and body.stream_options.include_usage
    return LiveResponse(answer.chunks(include_usage=usage), media_type="text/event-stream")


def _without_a_page(service: Service, body: ChatRequest) -> Completion | Response:
    """A short fixed answer: clients try a server with a word before they send a page."""
    answer = Answer(service.reader, [], ReadOptions(), form=body.form(), warnings=[NO_PICTURE])
    if not body.stream:
        return answer.fixed(NO_PICTURE)
    return LiveResponse(answer.fixed_chunks(NO_PICTURE), media_type="text/event-stream")


@router.post("/responses", summary="Not spoken here", include_in_schema=False)
async def responses() -> None:
    raise UnsupportedOption(
        "OpenAI's Responses API is not spoken here.", "Send the same message to /v1/chat/completions."
    )


def _together(reader: Reader, count: int) -> bool:
    """Whether this many pictures go to the engine at once; else one by one."""
    return count <= reader.engine.capabilities.max_images

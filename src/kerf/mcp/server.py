"""The verbs as tools of the Model Context Protocol, through the official SDK's low-level server."""

from __future__ import annotations

import os
from functools import cache
from importlib.metadata import version
from typing import Any

import anyio.to_thread
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    GetPromptRequestParams,
    GetPromptResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    Prompt,
    PromptMessage,
    ReadResourceRequestParams,
    ReadResourceResult,
    TextContent,
    TextResourceContents,
    Tool,
    ToolAnnotations,
)
from mcp.types import Resource as Listed
from mcp.types import ResourceTemplate as Template

from kerf.core.types import KerfError
from kerf.core.verb import Verb
from kerf.mcp import calls, resources
from kerf.mcp.schema import arguments_schema, complaints
from kerf.verbs import all_verbs

TEXT_LIMIT = 40_000
"""Characters of a tool's text: clients cut or refuse more. The structured result is whole."""

INSTRUCTIONS = (
    "Kerf makes PyTorch operators fast, places chips and verifies designs, and measures what it claims. Read the resource kerf://guide "
    "before the first call. Every number to quote comes from a tool's result. A search takes minutes: give `minutes` or "
    "`evaluations`. A call that is cancelled or times out keeps what it measured; `runs` lists it and `resume` goes on with it."
)


def server() -> Server[Any]:
    """Serves any number of clients. Paths in arguments are relative to this process's folder."""
    return Server(
        "kerf",
        version=version("kerf-ai"),
        title="Kerf",
        instructions=INSTRUCTIONS,
        on_list_tools=_list_tools,
        on_call_tool=_call_tool,
        on_list_resources=_list_resources,
        on_list_resource_templates=_list_templates,
        on_read_resource=_read_resource,
        on_list_prompts=_list_prompts,
        on_get_prompt=_get_prompt,
    )


# ---------------------------------------------------------------- tools


@cache
def _verbs() -> dict[str, Verb]:
    """As they were when the server began, whatever is installed meanwhile."""
    return all_verbs()


async def _list_tools(context: Any, params: Any) -> ListToolsResult:
    return ListToolsResult(tools=[_tool(v) for v in _verbs().values()])


def _tool(verb: Verb) -> Tool:
    return Tool(
        name=verb.name,
        description=f"{verb.about}\n\nRelative paths start from {os.getcwd()}.",
        input_schema=arguments_schema(verb),
        output_schema={"type": "object"},
        annotations=ToolAnnotations(
            title=verb.summary,
            read_only_hint=verb.reads_only,
            destructive_hint=verb.destroys,
            open_world_hint=False,
        ),
    )


async def _call_tool(context: Any, params: CallToolRequestParams) -> CallToolResult:
    """What a user can cause is a tool's error, which a model may read and mend; only an unknown tool is the protocol's."""
    verb, arguments = _verbs().get(params.name), params.arguments or {}
    if verb is None:
        raise MCPError(INVALID_PARAMS, f"no tool {params.name!r}; there are {', '.join(_verbs())}")
    if wrong := complaints(verb, arguments):
        return _refused(f"{verb.name}: " + "; ".join(wrong))
    ended = await calls.run(verb, arguments, context.session.report_progress)
    if "error" in ended:
        return _refused(f"{verb.name}: {ended['error']}")
    return CallToolResult(
        content=[TextContent(text=_cut(ended["text"]))],
        structured_content=ended["result"],
        is_error=ended["failed"],
    )


def _refused(text: str) -> CallToolResult:
    return CallToolResult(
        content=[TextContent(text=text)], structured_content={"status": "error", "error": text}, is_error=True
    )


def _cut(text: str) -> str:
    if len(text) <= TEXT_LIMIT:
        return text
    return f"{text[:TEXT_LIMIT]}\n... {len(text) - TEXT_LIMIT} more characters: see the structured result"


# ---------------------------------------------------------------- resources and prompts


async def _list_resources(context: Any, params: Any) -> ListResourcesResult:
    found = await anyio.to_thread.run_sync(resources.listed)
    return ListResourcesResult(
        resources=[Listed(uri=r.uri, name=r.name, description=r.about, mime_type=r.kind) for r in found]
    )


async def _list_templates(context: Any, params: Any) -> ListResourceTemplatesResult:
    run = Template(
        uri_template="kerf://runs/{run}",
        name="run",
        description="A run's candidates and winner; RUN is its id or the beginning of one.",
        mime_type="application/json",
    )
    return ListResourceTemplatesResult(resource_templates=[run])


async def _read_resource(context: Any, params: ReadResourceRequestParams) -> ReadResourceResult:
    uri = str(params.uri)
    try:
        resource = resources.read(uri)
        text = await anyio.to_thread.run_sync(resource.read)
    except KerfError as error:
        raise MCPError(INVALID_PARAMS, str(error)) from error
    return ReadResourceResult(contents=[TextResourceContents(uri=uri, mime_type=resource.kind, text=text)])


async def _list_prompts(context: Any, params: Any) -> ListPromptsResult:
    return ListPromptsResult(prompts=[Prompt(name="guide", description="How to work with kerf's tools.")])


async def _get_prompt(context: Any, params: GetPromptRequestParams) -> GetPromptResult:
    if params.name != "guide":
        raise MCPError(INVALID_PARAMS, f"no prompt {params.name!r}; there is 'guide'")
    return GetPromptResult(messages=[PromptMessage(role="user", content=TextContent(text=resources.guide()))])

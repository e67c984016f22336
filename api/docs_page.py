"""GET /docs: the OpenAPI document as one page, made here. It loads nothing, from nowhere, and runs no script."""

import json
from collections.abc import Iterator
from html import escape
from typing import Any

Json = dict[str, Any]

HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
}
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem; color: #1b1b1b }
h2 { margin-top: 2.5rem; border-top: 1px solid #ccc; padding-top: 1rem } h2 code { font-size: 1em }
code, pre { font: 14px/1.4 ui-monospace, monospace } pre { background: #f4f4f2; padding: .75rem; overflow: auto }
table { border-collapse: collapse } td, th { text-align: left; padding: .2rem 1rem .2rem 0; vertical-align: top }
"""


def page(document: Json) -> str:
    """HTML of an OpenAPI document."""
    info = document["info"]
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(info['title'])}</title><style>{_STYLE}</style>",
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>",
        *(f"<p>{escape(part)}</p>" for part in info.get("description", "").split("\n\n")),
        "<p>The same for programs: <a href=openapi.json>openapi.json</a></p>",
    ]
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            parts += _route(method, path, route)
    parts.append("<h2>Schemas</h2>")
    for name, schema in document.get("components", {}).get("schemas", {}).items():
        parts.append(f"<h3 id='{escape(name)}'>{escape(name)}</h3>{_pre(schema)}")
    return "\n".join(parts)


def _route(method: str, path: str, route: Json) -> Iterator[str]:
    yield f"<h2><code>{escape(method.upper())} {escape(path)}</code></h2><p>{escape(route.get('summary', ''))}</p>"
    if description := route.get("description"):
        yield f"<p>{escape(description)}</p>"
    if parameters := route.get("parameters"):
        yield "<table><tr><th>parameter<th>in<th>"
        for each in parameters:
            told = escape(each.get("description", "")) + (" (required)" if each.get("required") else "")
            yield f"<tr><td><code>{escape(each['name'])}</code><td>{escape(each['in'])}<td>{told}"
        yield "</table>"
    for kind, content in route.get("requestBody", {}).get("content", {}).items():
        yield f"<p>Body: <code>{escape(kind)}</code>, {_schema(content)}</p>"
        for name, example in content.get("examples", {}).items():
            yield f"<details><summary>example: {escape(name)}</summary>{_pre(example.get('value'))}</details>"
    yield "<table><tr><th>status<th><th>"
    for status, answer in route.get("responses", {}).items():
        bodies = "; ".join(_schema(content) for content in answer.get("content", {}).values())
        yield f"<tr><td>{escape(status)}<td>{escape(answer.get('description', ''))}<td>{bodies}"
    yield "</table>"


def _schema(content: Json) -> str:
    name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
    return f"<a href='#{escape(name)}'>{escape(name)}</a>" if name else ""


def _pre(value: object) -> str:
    return f"<pre>{escape(json.dumps(value, indent=1, ensure_ascii=False))}</pre>"

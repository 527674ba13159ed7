"""Cross-origin resource sharing: a bucket's rules, preflights, and headers on other answers.

As the Amazon S3 User Guide, "Elements of a CORS configuration": the first rule that matches the
origin, the method and, for a preflight, all headers asked for decides. `*` stands for any text,
once in an origin or a header name. The module knows no buckets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tlslab.http import Headers
from tlslab.store.refusals import Refused
from tlslab.store.s3.xml import Child, Element, document, parse

MAX_RULES = 100
"""Amazon S3 User Guide: up to 100 rules."""

METHODS = ("GET", "PUT", "POST", "DELETE", "HEAD")

_VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"


@dataclass(frozen=True, slots=True)
class CORSRule:
    """One rule; `max_age` is in seconds."""

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    max_age: int | None = None
    id: str | None = None

    def allows(self, origin: str, method: str, headers: Iterable[str] = ()) -> str | None:
        """What Access-Control-Allow-Origin holds if the rule matches, otherwise None."""
        pattern = next((known for known in self.origins if _matches(known, origin)), None)
        if pattern is None or method not in self.methods:
            return None
        if not all(any(_matches(known.lower(), h) for known in self.headers) for h in headers):
            return None
        return "*" if pattern == "*" else origin


def read_rules(data: bytes) -> tuple[CORSRule, ...]:
    """A CORSConfiguration. Raises Refused: MalformedXML, InvalidRequest."""
    configuration = parse(data, "CORSConfiguration").knows("CORSRule")
    rules = tuple(_rule(element) for element in configuration.children)
    if not 1 <= len(rules) <= MAX_RULES:
        raise Refused("MalformedXML")
    return rules


def write_rules(rules: Iterable[CORSRule]) -> bytes:
    """The same as a document."""
    return document("CORSConfiguration", [("CORSRule", _children(rule)) for rule in rules])


def preflight(rules: Iterable[CORSRule], fields: Mapping[str, str]) -> Headers:
    """The headers that answer an OPTIONS request. Raises Refused: BadRequest, AccessForbidden."""
    origin = fields.get("origin")
    if origin is None:
        message = "Insufficient information. Origin request header needed."
        raise Refused("BadRequest", message, status=400)
    method = fields.get("access-control-request-method", "")
    if method not in METHODS:
        message = f"Invalid Access-Control-Request-Method: {method}"
        raise Refused("BadRequest", message, status=400)
    asked = fields.get("access-control-request-headers", "")
    headers = [name.strip().lower() for name in asked.split(",") if name.strip()]
    for rule in rules:
        allowed = rule.allows(origin, method, headers)
        if allowed is not None:
            return _granted(rule, allowed, ", ".join(headers))
    raise Refused(
        "AccessForbidden",
        "CORSResponse: This CORS request is not allowed. This is usually because the evalution of "
        "Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers "
        "are not whitelisted by the resource's CORS spec.",
        status=403,
        details={"Method": method, "ResourceType": "OBJECT"},
    )


def response_headers(rules: Iterable[CORSRule], fields: Mapping[str, str], method: str) -> Headers:
    """What is added to the answer to a request that has an Origin; empty if no rule matches."""
    origin = fields.get("origin")
    if origin is None:
        return []
    for rule in rules:
        allowed = rule.allows(origin, method)
        if allowed is not None:
            return _granted(rule, allowed, "")
    return []


def _granted(rule: CORSRule, origin: str, headers: str) -> Headers:
    values = {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": ", ".join(rule.methods),
        "Access-Control-Allow-Headers": headers,
        "Access-Control-Expose-Headers": ", ".join(rule.exposed),
        "Access-Control-Max-Age": "" if rule.max_age is None else str(rule.max_age),
        "Access-Control-Allow-Credentials": "" if origin == "*" else "true",
        "Vary": _VARY,
    }
    return [(name.encode(), value.encode()) for name, value in values.items() if value]


def _matches(pattern: str, text: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), text) is not None


def _rule(element: Element) -> CORSRule:
    if element.name != "CORSRule":
        raise Refused("MalformedXML")
    element.knows(
        "ID", "AllowedOrigin", "AllowedMethod", "AllowedHeader", "ExposeHeader", "MaxAgeSeconds"
    )
    texts = {
        name: tuple(child.leaf().strip() for child in element.all(name))
        for name in ("AllowedOrigin", "AllowedMethod", "AllowedHeader", "ExposeHeader")
    }
    if not texts["AllowedOrigin"] or not texts["AllowedMethod"]:
        raise Refused("MalformedXML")
    for method in texts["AllowedMethod"]:
        if method not in METHODS:
            message = (
                f"Found unsupported HTTP method in CORS config. Unsupported method is {method}"
            )
            raise Refused("InvalidRequest", message)
    for name in ("AllowedOrigin", "AllowedHeader"):
        for text in texts[name]:
            if text.count("*") > 1:
                message = f'{name} "{text}" can not have more than one wildcard.'
                raise Refused("InvalidRequest", message)
    age = element.value("MaxAgeSeconds")
    if age is not None and not re.fullmatch(r"[0-9]{1,9}", age.strip()):
        raise Refused("MalformedXML")
    return CORSRule(
        texts["AllowedOrigin"],
        texts["AllowedMethod"],
        texts["AllowedHeader"],
        texts["ExposeHeader"],
        None if age is None else int(age),
        element.value("ID"),
    )


def _children(rule: CORSRule) -> list[Child]:
    return [
        ("ID", rule.id),
        *[("AllowedMethod", text) for text in rule.methods],
        *[("AllowedOrigin", text) for text in rule.origins],
        *[("AllowedHeader", text) for text in rule.headers],
        *[("ExposeHeader", text) for text in rule.exposed],
        ("MaxAgeSeconds", rule.max_age),
    ]

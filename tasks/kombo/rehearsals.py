"""A stand-in for the network: takes every request and sends none, to find out whether it could be made."""

from __future__ import annotations

import json

import httpx

from tasks.kombo.client import Client
from tasks.kombo.limits import Limiter


class _Accepting(httpx.BaseTransport):
    """Answers everything as a success; a question for limits with "not known"."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        data: dict[str, None] = {"attachment_restrictions": None} if request.method == "GET" else {}
        return httpx.Response(200, content=json.dumps({"status": "success", "data": data, "warnings": []}).encode())


def rehearsing_client() -> Client:
    """Make a client that checks everything as a real one does, and sends nothing."""
    return Client("rehearsal", "http://127.0.0.1:1", transport=_Accepting(), limiter=Limiter())

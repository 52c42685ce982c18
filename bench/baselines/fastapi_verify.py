"""(b) A FastAPI route that verifies the signature and answers. It stores nothing."""

from __future__ import annotations

import hashlib
import hmac

from fastapi import FastAPI, Request, Response

from bench.payload import SECRET

KEY = SECRET.encode()
app = FastAPI()


@app.post("/hooks/github")
async def receive(request: Request) -> Response:
    """Verify as GitHub's documentation tells, and answer without any model."""
    body = await request.body()
    expected = "sha256=" + hmac.new(KEY, body, hashlib.sha256).hexdigest()
    given = request.headers.get("x-hub-signature-256", "")
    if not hmac.compare_digest(expected.encode(), given.encode()):
        return Response(b'{"status":"refused"}', 401, media_type="application/json")
    return Response(b'{"status":"accepted"}', 202, media_type="application/json")

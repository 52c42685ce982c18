"""(f) Node-RED: a flow that checks the HMAC in a function node and answers. It stores nothing.

Measured where `node-red` is found; `npm install -g node-red` brings it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from bench.payload import SECRET

PROGRAM = "node-red"
PATH = "/hooks/github"
_FUNCTION = """
const crypto = global.get("crypto");
const wanted = "sha256=" + crypto.createHmac("sha256", "SECRET").update(msg.payload).digest("hex");
const given = String(msg.req.headers["x-hub-signature-256"] || "");
const fits = wanted.length === given.length
  && crypto.timingSafeEqual(Buffer.from(wanted), Buffer.from(given));
msg.statusCode = fits ? 202 : 401;
msg.payload = fits ? JSON.parse(msg.payload).id : "refused";
return msg;
"""
_SETTINGS = """
module.exports = {
  uiHost: "127.0.0.1",
  flowFile: "flows.json",
  credentialSecret: false,
  functionGlobalContext: { crypto: require("crypto") },
  logging: { console: { level: "error" } },
};
"""


def command(directory: Path, port: int) -> list[str]:
    """Write settings and flow; gives the command line that serves `PATH`."""
    place = {"z": "tab", "x": 100, "y": 100}
    flow = [
        {"id": "tab", "type": "tab", "label": "receive"},
        {
            "id": "in",
            "type": "http in",
            "url": PATH,
            "method": "post",
            "skipBodyParsing": True,
            "wires": [["verify"]],
            **place,
        },
        {
            "id": "verify",
            "type": "function",
            "func": _FUNCTION.replace("SECRET", SECRET),
            "outputs": 1,
            "wires": [["out"]],
            **place,
        },
        {"id": "out", "type": "http response", "statusCode": "", "wires": [], **place},
    ]
    (directory / "flows.json").write_text(json.dumps(flow), encoding="utf-8")
    (directory / "settings.js").write_text(_SETTINGS, encoding="utf-8")
    found = shutil.which(PROGRAM)
    assert found is not None
    settings = str(directory / "settings.js")
    return [found, "--settings", settings, "--userDir", str(directory), "--port", str(port)]

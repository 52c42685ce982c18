"""What a vendor is: data plus functions.

A vendor's folder builds one `Vendor` value from the pieces below and exports it as `VENDOR`. There
is no base class to inherit, no database and no framework here: a vendor verifies bytes, reads
events from them and speaks to its own API; everything that lasts is kept by the caller. Whoever
uses the pieces imports them from here; the modules are named like those of a vendor's folder.
"""

from __future__ import annotations

from service.vendors.base.actions import Action, Done, Outputs, Params, Safety
from service.vendors.base.incoming import (
    Answer,
    Delivery,
    Headers,
    Incoming,
    ReadBack,
    Secret,
    Sign,
    Signed,
    Verifier,
)
from service.vendors.base.json_values import dig, read_json
from service.vendors.base.options import Options, PerMinute, PerMinuteOrUsual
from service.vendors.base.outgoing import CallContext, FetchToken, Outgoing, Rate, Token
from service.vendors.base.polling import Poll, PollAnswer
from service.vendors.base.records import Record, Recorded, RecordPage, Window
from service.vendors.base.vendor import Guide, Vendor

__all__ = [
    "Action",
    "Answer",
    "CallContext",
    "Delivery",
    "Done",
    "FetchToken",
    "Guide",
    "Headers",
    "Incoming",
    "Options",
    "Outgoing",
    "Outputs",
    "Params",
    "PerMinute",
    "PerMinuteOrUsual",
    "Poll",
    "PollAnswer",
    "Rate",
    "ReadBack",
    "Record",
    "RecordPage",
    "Recorded",
    "Safety",
    "Secret",
    "Sign",
    "Signed",
    "Token",
    "Vendor",
    "Verifier",
    "Window",
    "dig",
    "read_json",
]

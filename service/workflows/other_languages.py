"""What people write who know other languages of conditions, and how it is said in CEL."""

from __future__ import annotations

from collections.abc import Mapping

_AFTERWARDS = "steps are performed while all went well; what follows a failure is in `on_failure`"
_TEXT_HAS = 'write `text.contains("part")`, or `item in list`'

FUNCTIONS: Mapping[str, str] = {
    **dict.fromkeys(("success", "failure"), _AFTERWARDS),
    "always": f"{_AFTERWARDS}; a step with `on_error: continue` does not end the run",
    "cancelled": "what follows a cancelled run is in `on_cancel`",
    **dict.fromkeys(("toJSON", "toJson", "stringify", "dumps", "tojson"), "it is `json(value)`"),
    **dict.fromkeys(("fromJSON", "fromJson", "parse"), "values have their types: nothing is read"),
    **dict.fromkeys(("includes", "indexOf", "has_key", "include"), _TEXT_HAS),
    **dict.fromkeys(("toLowerCase", "lowercase", "lowerAscii", "downcase"), "it is `lower(text)`"),
    **dict.fromkeys(("toUpperCase", "uppercase", "upperAscii", "upcase"), "it is `upper(text)`"),
    **dict.fromkeys(("startswith", "starts_with"), "it is `text.startsWith(part)`"),
    **dict.fromkeys(("endswith", "ends_with"), "it is `text.endsWith(part)`"),
    **dict.fromkeys(("len", "length", "count"), "it is `size(value)`"),
    **dict.fromkeys(("str", "toString"), "it is `string(value)`"),
    **dict.fromkeys(("float", "Number", "number"), "it is `double(value)`"),
    **dict.fromkeys(("coalesce", "ifNull", "ifnull"), "it is `default(value, otherwise)`"),
    **dict.fromkeys(("any", "some"), "it is `list.exists(x, …)`"),
    "every": "it is `list.all(x, …)`",
}
"""Functions of other languages, by their names."""

NAMES: Mapping[str, str] = {
    **dict.fromkeys(("None", "undefined", "nil", "Null", "NULL"), "write `null`"),
    **dict.fromkeys(("True", "TRUE", "yes", "Yes"), "write `true`"),
    **dict.fromkeys(("False", "FALSE", "no", "No"), "write `false`"),
    **dict.fromkeys(("github", "trigger", "body"), "the vendor's own body is `event.payload`"),
    **dict.fromkeys(("needs", "jobs", "job"), "what a step gave is `steps.<id>.<field>`"),
    **dict.fromkeys(
        ("facts", "payload", "subject", "vendor", "type", "source"), "it is a field of `event`"
    ),
}
"""Names of other languages."""

_SIGNS = (
    ("===", "write `==`"),
    ("!==", "write `!=`"),
    ("=>", "write `list.map(x, …)`"),
    ("??", "write `default(value, otherwise)`"),
    ("?.", "write `default(value, otherwise)`: what is read of null is refused"),
    ("<>", "write `!=`"),
    ("=", "write `==`"),
    ("|", "write functions around the value, such as `upper(event.subject)`; or is `||`"),
    ("&", "and is `&&`"),
    ("`", "put texts between straight quotes"),
    ("$", "names are written without `$`"),
    *((quote, "put texts between straight quotes") for quote in "\u201c\u201d\u201e\u2018\u2019"),
)
_WORDS: Mapping[str, str] = {
    "and": "write `&&`",
    "or": "write `||`",
    "not": "write `!`",
    "is": "write `==`",
    "if": "write `condition ? value : otherwise`",
    "else": "write `condition ? value : otherwise`",
}


def hint_at(source: str, offset: int) -> str | None:
    """Say how it is written in CEL what stands at a fault, where another language is known by it.

    `offset`: characters from 0.
    """
    for sign, hint in _SIGNS:
        first = max(offset - len(sign) + 1, 0)
        if sign in source[first : offset + len(sign)] and source[offset : offset + 1] in sign:
            return hint
    before = source[:offset].split()[-1:]
    after = source[offset:].split()[:1]
    for word in (*after, *before):
        if word in _WORDS:
            return _WORDS[word]
    return None

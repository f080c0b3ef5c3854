"""E-mail addresses leave a file before it is landed: landing keeps what it gets for years (law 10).

Data flow: a page's bytes → the same bytes, with a pseudonym in the place of each address.

`costlake pull` writes pages through `without_emails`; a file handed over with addresses in it is refused (`check_no_email`). Only JSON
strings that hold an address are written anew; every other byte stays as the provider sent it. The pseudonym is that of
`ingest.pages.pseudonym`, so that a person keeps it whichever way his usage came.
Run alone: python -m ingest.personal EXPORT_ID < with-addresses.json > without.json (CSV, too)
"""

from __future__ import annotations

import json
import re
import sys

from costlake.config import Export
from costlake.errors import PersonalData
from ingest.pages import pseudonym

# Words joined by @, as far as they go; possessive, and begun at a word's begin only, so that no text is searched twice.
_JOINED = re.compile(r"(?<![^\s\"'<>()\[\],;:@\\])[^\s\"'<>()\[\],;:@\\]++(?:@[^\s\"'<>()\[\],;:@\\]++)++")
# An address as people have them ends in a domain of letters; `model@20250514` is none.
_DOMAIN = re.compile(r"@[^@]*\.[A-Za-z]{2,}")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


def without_emails(export: Export, content: bytes) -> bytes:
    """The content with a pseudonym for each e-mail address in it; content without one comes back untouched.

    Args:
        export: whose pseudonyms (they are keyed by its id).
        content: JSON or CSV in UTF-8. What is neither comes back as it is: whoever reads it will refuse it.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return content
    # In JSON an address may also hide its @ behind an escape.
    if "@" not in text and "\\u0040" not in text:
        return content
    if text.lstrip("\ufeff \n\r\t")[:1] in ("{", "["):
        return _STRING.sub(lambda match: _renamed(export, match[0]), text).encode()
    return _without(export, text).encode()


def has_email(text: str) -> bool:
    """Whether a text holds an e-mail address."""
    return any(_DOMAIN.search(found[0]) for found in _JOINED.finditer(text))


def stand_in(export: Export, address: str) -> str:
    """The pseudonym of an address; its case does not matter."""
    return str(pseudonym(export, address.lower()))


def check_no_email(value: str | None, where: str) -> None:
    """Refuse a value that holds an e-mail address in clear: its file must not enter landing. PersonalData, without the address."""
    if value is not None and has_email(value):
        raise PersonalData(
            "the file has e-mail addresses in clear",
            where=where,
            expected="pseudonyms: landing keeps files for years, and nobody needs the addresses for costs",
            next_step="pull it with `costlake pull`, or make a copy without them: python -m ingest.personal EXPORT_ID < FILE > COPY",
        )


def _renamed(export: Export, token: str) -> str:
    try:
        value = json.loads(token, strict=False)
    except ValueError:
        return token  # no JSON after all
    if not has_email(value):
        return token
    return json.dumps(_without(export, value), ensure_ascii=False)


def _without(export: Export, text: str) -> str:
    def renamed(found: re.Match[str]) -> str:
        address = found[0].rstrip(".")
        return stand_in(export, address) + found[0][len(address) :] if _DOMAIN.search(address) else found[0]

    return _JOINED.sub(renamed, text)


if __name__ == "__main__":
    named = Export(id=sys.argv[1], source="any", location=".")
    sys.stdout.buffer.write(without_emails(named, sys.stdin.buffer.read()))

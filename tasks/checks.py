"""Checks of single values in a body. An error says the rule and never the value, which may be a person's data."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from tasks.kombo import ids

_COUNTRIES = frozenset(
    """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC
    CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD
    GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH
    KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW
    MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC
    SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY
    UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW
    """.split()  # noqa: SIM905 - a list of literals would be 250 lines; XK is Kosovo's, in use everywhere
)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_URL = re.compile(r"https?://[^\s/?#]+[^\s]*")
_MIME = re.compile(r"[\w.+-]+/[\w.+-]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")


def _country(value: str) -> str:
    if value not in _COUNTRIES:
        raise ValueError("expected an ISO 3166-1 alpha-2 code in capitals, such as DE or GB")
    return value


def _email(value: str) -> str:
    if not _EMAIL.fullmatch(value):
        raise ValueError("expected an e-mail address")
    return value


def url(value: str, name: str = "url") -> str:
    """Check that a text is an absolute http(s) URL.

    Args:
        value: What the caller gave.
        name: The parameter, for the error's text.

    Returns:
        The same text.

    Raises:
        ValueError: It is none; the text does not repeat it.
    """
    if not isinstance(value, str) or not _URL.fullmatch(value):
        raise ValueError(f"{name}: expected an absolute http or https URL")
    return value


def filled(value: str, name: str) -> str:
    """Check that a text is one and not empty.

    Args:
        value: What the caller gave.
        name: The parameter, for the error's text.

    Returns:
        The same text.

    Raises:
        ValueError: It is empty.
        TypeError: It is no text.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name}: expected a text")
    if not value.strip():
        raise ValueError(f"{name}: must not be empty")
    return value


def _mime(value: str) -> str:
    if not _MIME.fullmatch(value):
        raise ValueError("expected a MIME type such as application/pdf, without parameters")
    return value


def _base64(value: str) -> str:
    if len(value) % 4 or not value or not _BASE64.fullmatch(value):
        raise ValueError("expected base64 in one piece, padded with =")
    return value


def _time(value: Any) -> Any:
    return ids.api_time(value, "time") if isinstance(value, datetime | str) else value


Filled = Annotated[str, Field(min_length=1)]
Email = Annotated[str, AfterValidator(_email)]
Url = Annotated[str, AfterValidator(url)]
Country = Annotated[str, AfterValidator(_country)]
Time = Annotated[str, BeforeValidator(_time)]
KomboId = Annotated[str, AfterValidator(ids.kombo_id)]
KomboOrRemoteId = Annotated[str, AfterValidator(ids.kombo_or_remote_id)]
MimeType = Annotated[str, AfterValidator(_mime)]
Base64 = Annotated[str, AfterValidator(_base64)]

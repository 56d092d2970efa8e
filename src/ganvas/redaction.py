"""Hide passwords and keys in whatever is recorded, printed or logged."""

import re
from typing import Any

MASK = "***"
SECRET_WORDS = {
    *("password", "passwd", "passphrase", "pwd", "pw", "secret", "token", "key", "auth"),
    *("credential", "credentials", "signature", "sig", "authorization"),
}
# Endings of names written without a separator, such as apikey.
SECRET_ENDINGS = ("password", "passwd", "secret", "token", "apikey", "accesskey", "secretkey")
# In these URLs the part before @ is a container.
CONTAINER_SCHEMES = ("abfs://", "abfss://", "wasb://", "wasbs://")

# All repetitions that may begin anywhere are bounded, so that time grows linearly with the text.
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]{0,30}"
SCHEME = re.compile(rf"{_SCHEME}://")
# A URL within a text ends at white space, a quotation mark or the next parameter of --params.
URL = re.compile(rf"{_SCHEME}://(?:(?!,[A-Za-z_][\w.]{{0,100}}=)[^\s'\"<>`])*")
# user:password in a URL, where the password has white space, quotation marks or a slash: what
# follows the first colon is no port.
ODD_PASSWORD = re.compile(
    rf"({_SCHEME}://)[^\s/@:'\"]{{1,200}}:(?!\d{{1,5}}(?:[^\w@]|$))[^\s/@][^@\n]{{0,300}}@(?=[\w\[])"
)
# The same where Kedro or a library has removed the protocol; but no time, as in 12:30@home, and no
# digest of a container's image, as in ganvas:1@sha256:….
NO_SCHEME = re.compile(
    r"(?<![\w/@.*-])(?!mailto:|\d{1,4}:\d{1,4}@)[^\s/:@'\"(=,*]{1,200}:[^\s/:@'\"]{1,300}"
    r"@(?=[\w\[])(?!sha\d+:)"
)
# The same after one slash, to which a path shortens the two of a URL, or without a protocol.
ONE_SLASH = re.compile(
    rf"(\b{_SCHEME}:/|(?<![\w:/])//)[^\s/@:'\"]{{0,200}}:[^\s/@'\"]{{1,300}}@(?=[\w\[])"
)
QUERY = re.compile(r"([?&;]([^=&#\s?;]+)=)([^&#\s'\"]*)")
VALUE = r"'[^']*'|\"(?:\\.|[^\"\\])*\""
PAIR = re.compile(rf"(?<![\w/?&])(?!-*params=)([\w.-]{{1,100}})=({VALUE}|[^\s,;&'\"]+)")
ITEM = re.compile(rf"(['\"]([\w.-]{{1,100}})['\"]\s*:\s*)({VALUE})")
# --password hunter2; a sentence about an option is none.
OPTION = re.compile(
    rf"((?<![\w-])--([A-Za-z][\w.-]{{0,100}})\s+)"
    rf"(?!(?:is|are|can't|has|and|or|must|needs|takes|to)\b)({VALUE}|[^\s'\"-][^\s'\"]*)"
)
# password: hunter2, as in YAML and headers. A sentence goes on after its first word.
LINE = re.compile(
    rf"((?<![\w.'\"-])([A-Za-z][\w.-]{{0,100}})[ \t]{{0,9}}:[ \t]{{1,9}})"
    rf"({VALUE}|[^\s,;'\"]+(?=[ \t]{{0,9}}(?:[,;}})\]]|$))|(?=\S*\d)[^\s,;'\"]+)",
    re.MULTILINE,
)
# Names that are secret without the name of a service before them; "a key:" may begin a sentence.
PLAIN_WORDS = {"key", "token", "auth", "signature", "sig", "credential", "credentials"}
HEADER = re.compile(
    r"\b(authorization['\"]?\s{0,9}[:=]\s{0,9}['\"]?(?:(?:Bearer|Basic|Token|ApiKey|Negotiate)\s+)?"
    r"|(?:Bearer|Basic)\s+(?=\S{0,100}[\d=])(?=\S{8}))(?:[\w.~+/=-]|\*{3})+",
    re.IGNORECASE,
)
# Keys of services that are known by how they begin.
BARE_TOKEN = re.compile(
    r"\b(?:hf_(?=[A-Za-z]{0,60}\d)[A-Za-z0-9]{8,}|gh[oprsu]_\w{16,}|github_pat_\w{16,}"
    r"|glpat-[\w-]{16,}|sk-(?=[\w-]{0,60}\d)[\w-]{16,}|xox[abeprs]-[\w-]{10,}|A[KS]IA[0-9A-Z]{16}"
    r"|AIza[\w-]{30,}|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{5,})"
)
# What stands for a value in advice, or for none.
NO_VALUES = {"null", "None", "VALUE", "…", MASK}


def redact(value: Any) -> Any:
    """Replace passwords and keys by `***`: in URLs, and values whose names say so.

    Args:
        value: A text, such as a command or a message, or parameters with their keys, nested.

    Returns:
        The same with `***` in place of secrets.

    Example:
        >>> redact("MLflow can't be reached at http://ann:pass@host.")
        "MLflow can't be reached at http://***@host."
        >>> redact({"tracking": {"token": "abc", "uri": "https://host?sig=abc&x=1"}})
        {'tracking': {'token': '***', 'uri': 'https://host?sig=***&x=1'}}
    """
    if isinstance(value, dict):
        return {key: _redact_item(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redact_item("", item) for item in value]
    if not isinstance(value, str):
        return value
    text = ODD_PASSWORD.sub(rf"\1{MASK}@", value)
    text = URL.sub(lambda match: _redact_url(match[0]), text)
    text = ONE_SLASH.sub(rf"\1{MASK}@", text)
    text = NO_SCHEME.sub(f"{MASK}@", text)
    text = ITEM.sub(lambda match: match[1] + _mask(match[2], match[3]), text)
    text = PAIR.sub(lambda match: f"{match[1]}={_mask(match[1], match[2])}", text)
    text = HEADER.sub(lambda match: f"{match[1]}{MASK}", text)
    text = OPTION.sub(lambda match: match[1] + _mask(match[2], match[3]), text)
    text = LINE.sub(_mask_line, text)
    return BARE_TOKEN.sub(MASK, text)


def _redact_item(key: str, item: Any) -> Any:
    if isinstance(item, str | int | float) and not isinstance(item, bool) and _is_secret(key):
        return MASK
    if isinstance(item, list | tuple):
        return [_redact_item(key, part) for part in item]
    # A value is a URL to its end.
    if isinstance(item, str) and SCHEME.match(item):
        return _redact_url(item)
    return redact(item)


def _redact_url(url: str) -> str:
    scheme, _, rest = url.partition("://")
    scheme += "://"
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in authority:
        user, _, host = authority.rpartition("@")
        is_container = scheme.lower() in CONTAINER_SCHEMES and ":" not in user
        rest = rest if is_container else f"{MASK}@{host}{rest[len(authority) :]}"
    elif "@" in rest and re.match(r"[^/@:]+:(?!\d+(?:[/?#]|$))", rest):
        # The password contains a character that a URL should have as %XX.
        rest = f"{MASK}@{rest.rpartition('@')[2]}"
    return scheme + QUERY.sub(lambda match: match[1] + _mask(match[2], match[3]), rest)


def _mask_line(match: re.Match[str]) -> str:
    name = match[2]
    is_name = name.lower() not in PLAIN_WORDS and name.lower() != "authorization"
    return match[1] + (_mask(name, match[3]) if is_name else match[3])


def _mask(name: str, value: str) -> str:
    return MASK if _is_secret(name) and value not in NO_VALUES else value


def _is_secret(name: str) -> bool:
    """Return whether a name says that its value is secret.

    Example:
        >>> [_is_secret(name) for name in ("a.api_key", "AWSAccessKeyId", "keyword", "tokens_seen")]
        [True, True, False, False]
    """
    words = [word.lower() for word in WORD.findall(name)]
    return any(word in SECRET_WORDS or word.endswith(SECRET_ENDINGS) for word in words)

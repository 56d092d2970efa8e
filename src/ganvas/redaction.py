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

WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
# Without limits of length, the time for a text such as one word of a megabyte would grow with the
# square of its length.
PROTOCOL = r"[A-Za-z][A-Za-z0-9+.-]{0,30}://"
SCHEME = re.compile(PROTOCOL)
# A URL within a text ends at white space, a quotation mark or the next parameter of --params.
URL = re.compile(PROTOCOL + r"(?:(?!,[A-Za-z_][\w.]{0,200}=)[^\s'\"<>`])*")
# user:password in a URL, where the password has white space, quotation marks or a slash: what
# follows the first colon is no port.
ODD_PASSWORD = re.compile(
    rf"({PROTOCOL})[^\s/@:'\"]{{1,256}}:(?!\d{{1,5}}(?:[^\w@]|$))[^\s/@][^@\n]{{0,4096}}@(?=[\w\[])"
)
# The same where Kedro or a library has removed the protocol.
NO_SCHEME = re.compile(
    r"(?<![\w/@.*-])(?!mailto:)[^\s/:@'\"(=,*]{1,256}:[^\s/:@'\"]{1,4096}@(?=[\w\[])"
)
# The same after one slash, to which a path shortens the two of a URL, or without a protocol.
ONE_SLASH = re.compile(
    r"(\b[A-Za-z][A-Za-z0-9+.-]{1,32}:/|(?<![\w:/])//)[^\s/@:'\"]{0,256}:[^\s/@'\"]{1,4096}@(?=[\w\[])"
)
QUERY = re.compile(r"([?&;]([^=&#\s?;]{1,256})=)([^&#\s'\"]*)")
PAIR = re.compile(
    r"(?<![\w/?&])(?!-{0,2}params=)([\w.-]{1,256})=('[^']*'|\"(?:\\.|[^\"\\])*\"|[^\s,;&'\"]+)"
)
ITEM = re.compile(r"(['\"]([\w.-]{1,256})['\"]\s{0,99}:\s{0,99})('[^']*'|\"(?:\\.|[^\"\\])*\")")
HEADER = re.compile(r"\b(Bearer|Basic)\s{1,99}[\w.~+/=-]{8,}")
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
    return HEADER.sub(rf"\1 {MASK}", text)


def _redact_item(key: str, item: Any) -> Any:
    if isinstance(item, str | int | float) and not isinstance(item, bool) and _is_secret(key):
        return MASK
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

"""Security headers of all responses."""

from flask import Response

# Own files and data URIs only; no inline scripts or styles, nothing from other origins.
PAGE_POLICY = (
    "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# A report has inline styles and scripts, so it is sandboxed.
REPORT_POLICY = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; "
    "sandbox allow-scripts allow-downloads"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With "no-referrer", browsers send "Origin: null" with the gallery's own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def add_security_headers(response: Response) -> Response:
    """Add the headers to a response; keep a Content-Security-Policy that a view has set."""
    response.headers.setdefault("Content-Security-Policy", PAGE_POLICY)
    response.headers.extend(HEADERS)
    return response

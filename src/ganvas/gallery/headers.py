"""What browsers are told to keep to."""

from flask import Response

# The pages' own files and pictures that hold themselves; nothing from elsewhere, nothing inline.
PAGES = (
    "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# A report brings its own style and scripts with it, and is shut off from everything else.
REPORT = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; "
    "sandbox allow-scripts allow-downloads"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def secure(response: Response) -> Response:
    """Add the headers to any answer; one that has a policy of its own keeps it."""
    response.headers.setdefault("Content-Security-Policy", PAGES)
    response.headers.extend(HEADERS)
    return response

"""Parameters of the fetch pipeline."""

from typing import Annotated

from pydantic import Field

from ganvas.base_params import Params

Handle = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][\w-]*/[A-Za-z0-9][\w.-]*$",
        description="text of the form owner/name",
    ),
]


class FetchParams(Params):
    """Dataset to download for each source, as owner/name."""

    artworks: Handle = "ikarus777/best-artworks-of-all-time"
    celeba: Handle = "jessicali9530/celeba-dataset"
    wikiart: Handle = "huggan/wikiart"

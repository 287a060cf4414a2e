"""Small pictures that live inside a page."""

from __future__ import annotations

import base64
import io
import warnings

from PIL import Image, ImageOps


def thumbnail_uri(data: bytes | None, size: int = 96) -> str:
    """Turns an encoded picture into a `data:` address of a small JPEG.

    Args:
        data: A file as bytes, in any format that Pillow reads.
        size: Most width and height in pixels.

    Returns:
        The address; empty when there is no picture or it cannot be read.

    Example:
        >>> thumbnail_uri(b"no picture")
        ''
    """
    if not data:
        return ""
    try:
        with warnings.catch_warnings():
            # A picture of hundreds of millions of pixels is not worth its memory.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            file = Image.open(io.BytesIO(data))
            file.draft("RGB", (size, size))
            picture = ImageOps.exif_transpose(file).convert("RGBA")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return ""
    picture.thumbnail((size, size))
    flat = Image.new("RGB", picture.size, "white")
    flat.paste(picture, mask=picture.getchannel("A"))
    small = io.BytesIO()
    flat.save(small, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(small.getvalue()).decode("ascii")

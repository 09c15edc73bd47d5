"""A picture in few colours: for what is mostly text that looks the same, and is a third as large."""

from __future__ import annotations

import base64
import struct
import zlib

from playwright.async_api import Page

COLOURS = 256

# Colours are taken up by how often they are seen, each if it is far enough from those before; what is between
# them goes to the nearest one.
_REDUCE = """async ([picture, most]) => {
  const bytes = Uint8Array.from(atob(picture), character => character.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes]));
  const context = new OffscreenCanvas(image.width, image.height).getContext("2d");
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, image.width, image.height).data;
  const seen = new Map();
  for (let at = 0; at < pixels.length; at += 4) {
    const colour = pixels[at] << 16 | pixels[at + 1] << 8 | pixels[at + 2];
    seen.set(colour, (seen.get(colour) ?? 0) + 1);
  }
  const apart = (a, b) => Math.max(
    ...[16, 8, 0].map(shift => Math.abs((a >> shift & 255) - (b >> shift & 255))));
  const often = [...seen.keys()].sort((a, b) => seen.get(b) - seen.get(a));
  let palette = [];
  for (let least = 1; palette.length === 0 || palette.length > most; least += 1) {
    palette = [];
    for (const colour of often)
      if (palette.length <= most && palette.every(taken => apart(taken, colour) >= least))
        palette.push(colour);
  }
  const nearest = new Map(often.map(colour => [colour, palette.reduce(
    (best, taken, index) => apart(taken, colour) < apart(palette[best], colour) ? index : best, 0)]));
  let indexes = "";
  for (let at = 0; at < pixels.length; at += 4)
    indexes += String.fromCharCode(nearest.get(pixels[at] << 16 | pixels[at + 1] << 8 | pixels[at + 2]));
  return [image.width, image.height, palette, btoa(indexes)];
}"""


async def in_few_colours(page: Page, png: bytes) -> bytes:
    """The picture with at most 256 colours, as a PNG. The page does it: any that lets scripts run.

    Source: https://www.w3.org/TR/png-3/, colour type 3
    """
    width, height, palette, encoded = await page.evaluate(_REDUCE, [base64.b64encode(png).decode(), COLOURS])
    indexes = base64.b64decode(encoded)
    rows = b"".join(b"\0" + indexes[at : at + width] for at in range(0, len(indexes), width))
    colours = b"".join(colour.to_bytes(3, "big") for colour in palette)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", colours),
            _chunk(b"IDAT", zlib.compress(rows, 9)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

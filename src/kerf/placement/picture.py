"""Pictures made of rectangles, lines and words, written as SVG or PNG. Coordinates are pixels, y downwards."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape

from kerf.placement.design import Floats

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Layer:
    """(K, 4) rectangles x0, y0, x1, y1 in one style, or (K, 4) lines where `line`. `opacity` is of the fill."""

    shapes: Floats
    fill: Colour | None = None
    stroke: Colour | None = None
    opacity: float = 1.0
    line: bool = False


@dataclass(frozen=True)
class Label:
    x: float
    y: float
    text: str
    size: int = 13
    colour: Colour = (40, 40, 40)


@dataclass
class Picture:
    """`width`, `height` in pixels; layers are drawn in their order, labels last."""

    width: int
    height: int
    layers: list[Layer] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)

    def svg(self) -> str:
        """One path a layer: a picture of 80,000 cells stays a few megabytes."""
        return page(self.width, self.height, self.shapes())

    def shapes(self) -> str:
        """The elements of the SVG without its head."""
        body = [_path(layer) for layer in self.layers if len(layer.shapes)]
        body += [
            f'<text x="{w.x:g}" y="{w.y:g}" font-size="{w.size}" fill="{_hex(w.colour)}">{escape(w.text)}</text>'
            for w in self.labels
        ]
        return "\n".join(body)

    def png(self) -> bytes:
        out = io.BytesIO()
        self.image().save(out, "PNG", optimize=True)
        return out.getvalue()

    def image(self) -> Any:
        """As an image of PIL."""
        from PIL import Image, ImageDraw, ImageFont

        image = Image.new("RGB", (self.width, self.height), (255, 255, 255))
        draw = ImageDraw.Draw(image, "RGBA")
        for layer in self.layers:
            for x0, y0, x1, y1 in layer.shapes.tolist():
                if layer.line:
                    draw.line((x0, y0, x1, y1), fill=layer.stroke)
                else:
                    fill = (*layer.fill, round(255 * layer.opacity)) if layer.fill else None
                    box = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
                    draw.rectangle(box, fill=fill, outline=layer.stroke)
        for word in self.labels:
            font = ImageFont.load_default(word.size)
            draw.text((word.x, word.y), word.text, fill=word.colour, font=font, anchor="ls")
        return image


def page(width: int, height: int, body: str) -> str:
    """An SVG of this size on white."""
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="#fff"/>', body, "</svg>", ""])


def _path(layer: Layer) -> str:
    if layer.line:
        data = "".join(f"M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}" for x0, y0, x1, y1 in layer.shapes.tolist())
    else:
        data = "".join(
            f"M{x0:.1f} {y0:.1f}H{x1:.1f}V{y1:.1f}H{x0:.1f}z" for x0, y0, x1, y1 in layer.shapes.tolist()
        )
    stroke = f' stroke="{_hex(layer.stroke)}" stroke-width="0.7"' if layer.stroke else ""
    opacity = f' fill-opacity="{layer.opacity:g}"' if layer.opacity < 1 else ""
    return f'<path d="{data}" fill="{_hex(layer.fill) if layer.fill else "none"}"{opacity}{stroke}/>'


def _hex(colour: Colour) -> str:
    return "#" + "".join(f"{c:02x}" for c in colour)


HEAT: Sequence[Colour] = ((255, 255, 240), (254, 217, 118), (253, 141, 60), (227, 26, 28), (90, 0, 38))


def heat(share: float) -> Colour:
    """From pale to dark red for 0 .. 1."""
    at = min(max(share, 0.0), 1.0) * (len(HEAT) - 1)
    low = min(int(at), len(HEAT) - 2)
    part = at - low
    r, g, b = (round(a + part * (c - a)) for a, c in zip(HEAT[low], HEAT[low + 1]))
    return r, g, b

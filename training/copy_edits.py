"""What people do to a picture before they post it again: random views for training a copy descriptor.

Kinds and ranges follow what is found in the wild (crops to another format, zoom, captions, stickers, bars,
blurred fill, insets, split screens, filmed screens, turns, strong filters, noise, blur, tiny bit rates,
GIF palettes). A view is an 8-bit RGB picture of PIL; nothing here needs a label or a GPU.
"""

from __future__ import annotations

import io
import math
import random
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

Picture = Image.Image
Others = Callable[[], Picture]
"""Gives another picture of the set, for what is pasted beside, over or under."""
_BILINEAR = Image.Resampling.BILINEAR
_WORDS = (
    "when", "you", "see", "it", "wait", "for", "the", "end", "POV", "follow", "me", "part", "two", "LOL",
    "breaking", "news", "original", "sound",
)  # fmt: skip


def edited(picture: Picture, others: Others, rng: random.Random) -> Picture:
    """A copy as somebody might post it: a few edits of different kinds, in the order people make them."""
    strength = rng.choice((1, 1, 2, 2, 3, 4))
    for room in sorted(rng.sample(range(len(_ROOMS)), strength)):
        kinds = _ROOMS[room]
        picture = rng.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])[0](
            picture, others, rng
        )
    if rng.random() < 0.3:
        picture = mirrored(picture, others, rng)
    if rng.random() < 0.3:
        picture = compressed(picture, others, rng)
    return picture


def view(picture: Picture, others: Others, rng: random.Random, size: int) -> np.ndarray:
    """An edited picture as the network sees it, squashed: ``uint8[size, size, 3]``."""
    return squashed(edited(picture, others, rng), size)


def subject(picture: Picture, other: Picture, others: Others, rng: random.Random) -> tuple[Picture, bool]:
    """A picture that nobody has seen before, and whether another one was mixed into it.

    A window of the picture, then as it is, mixed with a window of ``other``, composed with others, or edited.
    """
    shown = _part(picture, rng)
    chance = rng.random()
    if chance < 0.35:
        return Image.blend(
            shown, _part(other, rng).resize(shown.size, _BILINEAR), rng.uniform(0.25, 0.55)
        ), True
    if chance < 0.5:
        shown = rng.choice((split_screen, inset, face_camera, stickers))(shown, others, rng)
    elif chance < 0.65:
        shown = edited(shown, others, rng)
    return mirrored(shown, others, rng) if rng.random() < 0.5 else shown, False


def _part(picture: Picture, rng: random.Random) -> Picture:
    """A window of a fifth to all of the area, or the whole picture."""
    if rng.random() < 0.3:
        return picture
    area, shape = rng.uniform(0.2, 1.0), math.exp(rng.uniform(-0.4, 0.4))
    w, h = min(1.0, math.sqrt(area * shape)), min(1.0, math.sqrt(area / shape))
    return _window(picture, w, h, rng.random(), rng.random())


def squashed(picture: Picture, size: int) -> np.ndarray:
    """The whole picture, ``uint8[size, size, 3]``."""
    return np.asarray(picture.convert("RGB").resize((size, size), _BILINEAR, reducing_gap=2.0))


# Geometry


def cropped(p: Picture, others: Others, rng: random.Random) -> Picture:
    """A window of a quarter to nine tenths of the area, of another shape."""
    area, shape = rng.uniform(0.25, 0.9), math.exp(rng.uniform(-0.5, 0.5))
    w, h = min(1.0, math.sqrt(area * shape)), min(1.0, math.sqrt(area / shape))
    return _window(p, w, h, rng.random(), rng.random())


def another_format(p: Picture, others: Others, rng: random.Random) -> Picture:
    """Cut to 9:16, 1:1 or 4:5, at the middle or wherever the action is."""
    wanted = rng.choice((9 / 16, 1.0, 4 / 5, 16 / 9))
    share = wanted * p.height / p.width
    w, h = (share, 1.0) if share < 1 else (1.0, 1 / share)
    return _window(p, w, h, rng.uniform(0.2, 0.8), rng.uniform(0.2, 0.8))


def zoomed(p: Picture, others: Others, rng: random.Random) -> Picture:
    """Enlarged by 1.2 to 2.2, into the middle or a corner."""
    share = 1 / rng.uniform(1.2, 2.2)
    at = rng.choice(((0.5, 0.5), (0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)))
    return _window(p, share, share, *at)


def stretched(p: Picture, others: Others, rng: random.Random) -> Picture:
    """Another width, nothing cut off."""
    return p.resize((max(32, round(p.width * rng.uniform(0.5, 1.6))), p.height), _BILINEAR)


def mirrored(p: Picture, others: Others, rng: random.Random) -> Picture:
    """Left and right swapped."""
    return ImageOps.mirror(p)


def turned(p: Picture, others: Others, rng: random.Random) -> Picture:
    """By a quarter or half turn, or upside down."""
    return p.transpose(
        rng.choice(
            (
                Image.Transpose.ROTATE_90,
                Image.Transpose.ROTATE_180,
                Image.Transpose.ROTATE_270,
                Image.Transpose.FLIP_TOP_BOTTOM,
            )
        )
    )


def tilted(p: Picture, others: Others, rng: random.Random) -> Picture:
    """Turned by up to 15 degrees, with dark corners, or enlarged until they are gone."""
    angle = rng.uniform(-15, 15)
    out = p.rotate(angle, _BILINEAR, fillcolor=(0, 0, 0))
    if rng.random() < 0.5:
        share = 1 / (1 + 2.2 * abs(math.sin(math.radians(angle))))
        out = _window(out, share, share, 0.5, 0.5)
    return out


def filmed(p: Picture, others: Others, rng: random.Random) -> Picture:
    """Filmed off a screen: in perspective, with moiré, a cast, a glare, out of focus."""
    w, h, off = p.width, p.height, rng.uniform(0.02, 0.18)
    jitter = [rng.uniform(-0.02, off) for _ in range(8)]
    corners = [
        (-jitter[0] * w, -jitter[1] * h),
        (-jitter[2] * w, h + jitter[3] * h),
        (w + jitter[4] * w, h + jitter[5] * h),
        (w + jitter[6] * w, -jitter[7] * h),
    ]
    surround = rng.choice(((0, 0, 0), (40, 36, 34), (120, 112, 100)))
    out = p.transform(
        (w, h), Image.Transform.QUAD, [v for c in corners for v in c], _BILINEAR, fillcolor=surround
    )
    x = np.asarray(out, np.float32)
    yy, xx = np.mgrid[:h, :w].astype(np.float32)
    angle, period = rng.uniform(0, math.pi), rng.uniform(2.1, 9.0)
    wave = np.sin(2 * np.pi * (xx * math.cos(angle) + yy * math.sin(angle)) / period)
    x = (
        x
        * (1 + rng.uniform(0, 0.18) * wave[..., None])
        * np.array([rng.uniform(0.75, 1.15) for _ in range(3)], np.float32)
    )
    glare = np.exp(-(((xx / w - rng.random()) ** 2 + (yy / h - rng.random()) ** 2) / rng.uniform(0.01, 0.15)))
    x = x * rng.uniform(0.6, 1.0) + rng.uniform(0, 130) * glare[..., None] + rng.uniform(0, 35)
    return _picture(x).filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.6)))


# Colour


def filtered(p: Picture, others: Others, rng: random.Random) -> Picture:
    """Brightness, contrast, saturation and hue."""
    p = ImageEnhance.Brightness(p).enhance(rng.uniform(0.5, 1.6))
    p = ImageEnhance.Contrast(p).enhance(rng.uniform(0.5, 1.8))
    p = ImageEnhance.Color(p).enhance(rng.uniform(0.0, 2.2))
    if rng.random() < 0.4:
        hue, s, v = p.convert("HSV").split()
        shift = rng.randrange(256)
        p = Image.merge("HSV", (hue.point(lambda x: (x + shift) % 256), s, v)).convert("RGB")
    return p


def one_colour(p: Picture, others: Others, rng: random.Random) -> Picture:
    """Grey, sepia, or another pair of colours."""
    grey = ImageOps.grayscale(p)
    if rng.random() < 0.5:
        return grey.convert("RGB")
    dark, light = (tuple(rng.randint(*r) for _ in range(3)) for r in ((0, 70), (185, 255)))
    return ImageOps.colorize(grey, dark, light)


def inverted(p: Picture, others: Others, rng: random.Random) -> Picture:
    """A negative."""
    return ImageOps.invert(p)


def tonal(p: Picture, others: Others, rng: random.Random) -> Picture:
    """Gamma, few levels, or channels swapped."""
    which = rng.random()
    if which < 0.5:
        gamma = math.exp(rng.uniform(-0.8, 0.8))
        return p.point([round(255 * (i / 255) ** gamma) for i in range(256)] * 3)
    if which < 0.75:
        return ImageOps.posterize(p, rng.randint(2, 4))
    return Image.merge("RGB", rng.sample(p.split(), 3))


# Quality


def compressed(p: Picture, others: Others, rng: random.Random) -> Picture:
    """JPEG at a quality of 3 to 50, of a smaller picture as often as not."""
    if rng.random() < 0.5:
        p = _smaller(p, rng.uniform(0.25, 0.8))
    file = io.BytesIO()
    p.save(file, "JPEG", quality=rng.randint(3, 50))
    return Image.open(file).convert("RGB")


def tiny(p: Picture, others: Others, rng: random.Random) -> Picture:
    """As small as 24 to 72 lines, then enlarged by whoever shows it."""
    small = _smaller(p, rng.uniform(24, 72) / p.height)
    return compressed(small, others, rng) if rng.random() < 0.5 else small


def blurred(p: Picture, others: Others, rng: random.Random) -> Picture:
    """Out of focus."""
    return p.filter(ImageFilter.GaussianBlur(rng.uniform(1.0, 4.5) * p.height / 224))


def noisy(p: Picture, others: Others, rng: random.Random) -> Picture:
    """Grain of a deviation of up to 60 grey levels, coloured or not."""
    generator = np.random.default_rng(rng.getrandbits(63))
    shape = (p.height, p.width, rng.choice((1, 3)))
    return _picture(np.asarray(p, np.float32) + generator.normal(0, rng.uniform(8, 60), shape))


def palette(p: Picture, others: Others, rng: random.Random) -> Picture:
    """The few colours of a GIF, dithered or not."""
    dither = rng.choice((Image.Dither.NONE, Image.Dither.FLOYDSTEINBERG))
    return p.quantize(rng.choice((8, 16, 32, 64, 128)), Image.Quantize.FASTOCTREE, dither=dither).convert(
        "RGB"
    )


# Laid over


def captioned(p: Picture, others: Others, rng: random.Random) -> Picture:
    """Lines of text: a title, subtitles, a name across the picture."""
    p = p.copy()
    draw = ImageDraw.Draw(p, "RGBA")
    for _ in range(rng.randint(1, 3)):
        _write(draw, p, rng, y=rng.uniform(0, 0.9) * p.height, height=rng.uniform(0.05, 0.16) * p.height)
    return p


def stickers(p: Picture, others: Others, rng: random.Random) -> Picture:
    """One to six round or square pieces of other pictures, or plain colours."""
    p = p.copy()
    for _ in range(rng.randint(1, 6)):
        side = max(8, round(rng.uniform(0.08, 0.3) * min(p.size)))
        size, x, y = (side, side), p.width - side // 2, p.height - side // 2
        plain = rng.random() < 0.4
        piece = Image.new("RGB", size, _colour(rng)) if plain else others().resize(size, _BILINEAR)
        mask = Image.new("L", size, 0)
        shape = rng.choice(("ellipse", "rectangle"))
        getattr(ImageDraw.Draw(mask), shape)((0, 0, side, side), fill=rng.randint(170, 255))
        p.paste(piece, (rng.randint(-side // 3, x), rng.randint(-side // 3, y)), mask)
    return p


def face_camera(p: Picture, others: Others, rng: random.Random) -> Picture:
    """Another picture in a corner."""
    p, other, share = p.copy(), others(), rng.uniform(0.2, 0.42)
    small = other.resize((max(8, round(p.width * share)), max(8, round(p.height * share))), _BILINEAR)
    p.paste(small, (rng.choice((0, p.width - small.width)), rng.choice((0, p.height - small.height))))
    return p


def watermarked(p: Picture, others: Others, rng: random.Random) -> Picture:
    """A name tiled over everything, half transparent."""
    layer = Image.new("RGBA", p.size, (0, 0, 0, 0))
    draw, step = ImageDraw.Draw(layer), rng.uniform(0.14, 0.4) * p.height
    font, text, fill = (
        _font(step * rng.uniform(0.3, 0.7)),
        rng.choice(_WORDS),
        (*_colour(rng), rng.randint(50, 190)),
    )
    for row in range(math.ceil(p.height / step)):
        for column in range(math.ceil(p.width / (3 * step))):
            draw.text((3 * step * column + (row % 2) * step, step * row), text, font=font, fill=fill)
    layer = layer.rotate(rng.choice((0, 0, 30, -30)))
    return Image.alpha_composite(p.convert("RGBA"), layer).convert("RGB")


def mosaic(p: Picture, others: Others, rng: random.Random) -> Picture:
    """A part of it in blocks, or blurred."""
    p, w, h = p.copy(), round(p.width * rng.uniform(0.25, 0.7)), round(p.height * rng.uniform(0.25, 0.7))
    left, top = rng.randint(0, p.width - w), rng.randint(0, p.height - h)
    part = p.crop((left, top, left + w, top + h))
    if rng.random() < 0.6:
        blocks = part.resize((max(1, w // 16), max(1, h // 16)), _BILINEAR)
        part = blocks.resize((w, h), Image.Resampling.NEAREST)
    else:
        part = part.filter(ImageFilter.GaussianBlur(8))
    p.paste(part, (left, top))
    return p


# Put into something else


def bars(p: Picture, others: Others, rng: random.Random) -> Picture:
    """Bars of one colour on two sides, or on all four, with text on them as often as not."""
    tall, share = rng.random() < 0.6, rng.uniform(0.3, 0.9)
    other = rng.uniform(0.8, 1.0) if rng.random() < 0.25 else 1.0
    size = (
        (round(p.width / other), round(p.height / share))
        if tall
        else (round(p.width / share), round(p.height / other))
    )
    canvas = Image.new("RGB", size, rng.choice(((0, 0, 0), (0, 0, 0), (255, 255, 255), _colour(rng))))
    left, top = _placed(canvas, p, rng)
    canvas.paste(p, (left, top))
    if tall and top > 0.06 * canvas.height and rng.random() < 0.6:
        _write(ImageDraw.Draw(canvas, "RGBA"), canvas, rng, y=rng.uniform(0.02, 0.4) * top, height=0.5 * top)
    return canvas


def filled(p: Picture, others: Others, rng: random.Random) -> Picture:
    """Over a blurred enlargement of itself, upright or wide."""
    wanted = 9 / 16 if p.width >= p.height else 16 / 9
    size = (p.width, round(p.width / wanted)) if p.width >= p.height else (round(p.height * wanted), p.height)
    canvas = ImageOps.fit(p, size, _BILINEAR).filter(ImageFilter.GaussianBlur(rng.uniform(6, 16)))
    canvas.paste(p, ((size[0] - p.width) // 2, (size[1] - p.height) // 2))
    return canvas


def inset(p: Picture, others: Others, rng: random.Random) -> Picture:
    """At 40 to 85 % of its size over another picture, a plain colour, or a gradient."""
    share = rng.uniform(0.4, 0.85)
    size = (round(p.width / share), round(p.height / share))
    canvas = others().resize(size, _BILINEAR) if rng.random() < 0.7 else Image.new("RGB", size, _colour(rng))
    canvas.paste(p, _placed(canvas, p, rng))
    return canvas


def split_screen(p: Picture, others: Others, rng: random.Random) -> Picture:
    """Beside or above another picture, or one of four."""
    parts, w, h = [p, others()], p.width, p.height
    across, down = rng.choice(((2, 1), (2, 1), (1, 2), (1, 2), (2, 2)))
    parts += [others() for _ in range(across * down - 2)]
    rng.shuffle(parts)
    canvas = Image.new("RGB", (across * w, down * h))
    for at, part in enumerate(parts):
        canvas.paste(part.resize((w, h), _BILINEAR), (at % across * w, at // across * h))
    return canvas


_ROOMS: tuple[tuple[tuple[Callable[[Picture, Others, random.Random], Picture], float], ...], ...] = (
    ((cropped, 3), (another_format, 3), (zoomed, 3), (stretched, 1), (tilted, 2), (turned, 2)),
    ((filtered, 5), (one_colour, 2), (inverted, 1.5), (tonal, 2)),
    ((compressed, 3), (tiny, 2), (blurred, 2), (noisy, 2), (palette, 1), (filmed, 3)),
    ((captioned, 3), (stickers, 3), (face_camera, 1.5), (watermarked, 1.5), (mosaic, 1)),
    ((bars, 4), (filled, 2), (inset, 2), (split_screen, 2)),
)
"""One room of edits after another, in the order they are usually made; weights are chances within one."""

KINDS = {kind.__name__: kind for room in _ROOMS for kind, _ in room} | {"mirrored": mirrored}


def _window(p: Picture, w: float, h: float, x: float, y: float) -> Picture:
    width, height = max(16, round(p.width * w)), max(16, round(p.height * h))
    left, top = round((p.width - width) * x), round((p.height - height) * y)
    return p.crop((left, top, left + width, top + height))


def _smaller(p: Picture, share: float) -> Picture:
    return p.resize((max(8, round(p.width * share)), max(8, round(p.height * share))), _BILINEAR)


def _placed(canvas: Picture, p: Picture, rng: random.Random) -> tuple[int, int]:
    x, y = (0.5, 0.5) if rng.random() < 0.5 else (rng.random(), rng.random())
    return round((canvas.width - p.width) * x), round((canvas.height - p.height) * y)


def _picture(x: np.ndarray) -> Picture:
    return Image.fromarray(np.clip(x, 0, 255).astype(np.uint8))


def _colour(rng: random.Random) -> tuple[int, int, int]:
    return rng.randrange(256), rng.randrange(256), rng.randrange(256)


def _font(height: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(max(6, height))


def _write(draw: ImageDraw.ImageDraw, p: Picture, rng: random.Random, *, y: float, height: float) -> None:
    text = " ".join(rng.choices(_WORDS, k=rng.randint(1, 5)))
    stroke = max(1, round(height / 12))
    fill, edge = ((255, 255, 255), (0, 0, 0)) if rng.random() < 0.7 else (_colour(rng), _colour(rng))
    x = rng.uniform(-0.02, 0.5) * p.width
    draw.text((x, y), text, font=_font(height), fill=fill, stroke_width=stroke, stroke_fill=edge)

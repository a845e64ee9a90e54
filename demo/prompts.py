"""What people ask for: a fixed pool of prompts, about as long as real ones (half of them under 52 characters)."""

from functools import cache
from itertools import product
from typing import Final

SUBJECTS: Final = (
    "a lighthouse at dusk",
    "two foxes in fresh snow",
    "a bowl of ramen",
    "an old tram in the rain",
    "portrait of a violin maker",
    "a paper boat on a pond",
    "hero shot of a running shoe",
    "a greenhouse full of ferns",
    "a city map made of felt",
    "a wedding table by the sea",
    "an astronaut reading",
    "a bakery window",
    "a dragon made of origami",
    "a winter market",
    "a bicycle against a blue wall",
    "a coral reef",
    "logo of a mountain and a sun",
    "a living room with oak floor",
    "a cup of coffee from above",
    "an owl with round glasses",
)
STYLES: Final = (
    "",
    "watercolour",
    "product photo, white background",
    "flat vector",
    "oil painting",
    "35 mm film",
    "isometric",
    "linocut",
    "studio light",
    "pencil sketch",
)
DETAILS: Final = (
    "",
    "soft light",
    "wide angle, high detail, muted colours",
    "pastel palette",
    "seen from below",
    "negative space on the left for a headline, no text, print resolution",
    "golden hour",
)
ODD_PROMPTS: Final = (
    'she said "no, thank you", in quotes',
    "first line\nsecond line",
    "=1+1",
    "<b>bold</b> & co; DROP TABLE prompts",
    "🦊🦊 in the snow",
    "قطة على سطح",
)


@cache
def prompts() -> tuple[str, ...]:
    """All prompts of the pool, the odd ones last."""
    plain = (", ".join(filter(None, parts)) for parts in product(SUBJECTS, STYLES, DETAILS))
    return (*plain, *ODD_PROMPTS)

"""The organizations of the demo and what makes each of them worth a look.

The position in `PERSONAS` is the rank by volume. Traits do not depend on the seed: ids and names stay the same after
every reset, so that a copied link opens the same tenant.

Stories: `growth` doubles every six weeks; `decline` loses a third every week since eight weeks; `stop` went silent 19
days ago and cancelled; `bursts` are campaigns among quiet days; `near_limit` runs into its daily quotas; `new` joined
40 days ago; `low` lives on small top-ups; `slow` waits long since a month; `failing` prefers the model that began to
fail three weeks ago; `stuck` has generations that hang; `dry` used up its trial two days ago; `negative` disputed a
payment five days ago and owes credits since; `empty` never generated anything.
"""

import hashlib
from dataclasses import dataclass
from typing import Final, Literal

Story = Literal[
    "steady", "growth", "decline", "stop", "bursts", "near_limit", "new", "low", "slow", "failing", "stuck", "dry"
] | Literal["negative", "empty"]  # fmt: skip
Pattern = Literal["office", "evening", "always", "weekend"]
Plan = Literal["FREE", "STARTER", "PRO", "BUSINESS"]

UNRECONCILED_SLUG: Final = "saltmarsh-studios"
"""The one tenant whose balance row is not the sum of its ledger: somebody edited the row by hand."""

UNRECONCILED_CREDITS: Final = 250
"""How much more its balance row says than its ledger."""

NEGATIVE_CREDITS: Final = -340
"""Balance of the tenant that disputed a payment, after the chargeback."""

FAILING_MODEL: Final = "tessera-2"
FAILING_SINCE_DAYS: Final = 21
STOPPED_SINCE_DAYS: Final = 19
NEGATIVE_SINCE_DAYS: Final = 5
DRY_SINCE_DAYS: Final = 2
NEW_SINCE_DAYS: Final = 40
SLOW_SINCE_DAYS: Final = 30
DECLINE_SINCE_DAYS: Final = 56


@dataclass(frozen=True, slots=True)
class Persona:
    """One tenant: who they are, when they work, what they pay."""

    slug: str
    name: str
    zone: str
    plan: Plan
    people: int
    pattern: Pattern = "office"
    story: Story = "steady"
    rest_days: tuple[int, int] = (5, 6)  # Monday is 0

    @property
    def organization_id(self) -> str:
        return stable_id("org", self.slug)

    @property
    def currency(self) -> str:
        return "EUR" if self.zone.startswith(("Europe", "Africa")) else "USD"


def stable_id(prefix: str, *parts: object) -> str:
    """An id that depends on nothing but its parts."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()
    return f"{prefix}_{digest[:20]}"


LONG_NAME: Final = (
    "The Honourable Guild of Illustrators, Engravers, Letterers and Colourists of the Northern Provinces " * 2
)

PERSONAS: Final[tuple[Persona, ...]] = (
    Persona("northlight-atelier", "Northlight Atelier", "Europe/Berlin", "BUSINESS", 40),
    Persona("harbour-and-vine", "Harbour & Vine", "America/New_York", "BUSINESS", 34),
    Persona("kumo-illustrations", "Kumo Illustrations", "Asia/Tokyo", "BUSINESS", 28, story="growth"),
    Persona("cedar-and-slate", "Cedar & Slate", "America/Los_Angeles", "BUSINESS", 31),
    Persona("lumiere-du-nord", "Lumière du Nord", "Europe/Paris", "BUSINESS", 25, story="decline"),
    Persona("monsoon-media", "Monsoon Media House", "Asia/Kolkata", "BUSINESS", 38),
    Persona("saltmarsh-studios", "Saltmarsh Studios", "Europe/London", "BUSINESS", 22),
    Persona("pampas-creativa", "Pampas Creativa", "America/Argentina/Buenos_Aires", "BUSINESS", 19, story="bursts"),
    Persona("quartz-retail", "Quartz Retail Imaging", "America/Chicago", "BUSINESS", 27, "always", "stuck"),
    Persona("bosphorus-design", "Bosphorus Design", "Europe/Istanbul", "BUSINESS", 16),
    Persona("red-gum-games", "Red Gum Games", "Australia/Sydney", "PRO", 18, "evening", "growth"),
    Persona("himal-prints", "Himal Prints", "Asia/Kathmandu", "PRO", 14),
    Persona("tidewater-ads", "Tidewater Advertising", "America/New_York", "PRO", 21, story="near_limit"),
    Persona("al-waha", "شركة الواحة للتصميم", "Asia/Riyadh", "PRO", 17, rest_days=(4, 5)),
    Persona("fjord-fabrik", "Fjord Fabrik", "Europe/Oslo", "PRO", 12, story="failing"),
    Persona("mango-press", "Mango Press", "Asia/Manila", "PRO", 20, "always"),
    Persona("sum-a1-a9", "=SUM(A1:A9)", "Europe/Vienna", "PRO", 9),
    Persona("aurora-weddings", "Aurora Weddings", "America/Denver", "PRO", 11, "weekend"),
    Persona("granite-press", "Granite Press", "Europe/Zurich", "PRO", 8, story="decline"),
    Persona("baobab-stories", "Baobab Stories", "Africa/Nairobi", "PRO", 13, story="growth"),
    Persona("alert-one", "<script>alert(1)</script>", "America/Toronto", "PRO", 10),
    Persona("paper-lantern", "Paper Lantern Comics", "Asia/Shanghai", "PRO", 15, "evening"),
    Persona("copper-kettle", "Copper Kettle Foods", "Europe/Dublin", "PRO", 7, story="low"),
    Persona("rocket-unicorn", "🚀 Rocket 🦄 Unicorn 👩‍🚀", "America/Los_Angeles", "PRO", 12, story="bursts"),
    Persona("velvet-rope", "Velvet Rope Events", "Europe/Madrid", "PRO", 9, "weekend"),
    Persona("tinsmith-toys", "Tinsmith Toys", "Europe/Prague", "PRO", 11, story="stop"),
    Persona("studio-shalom", "סטודיו שלום לעיצוב", "Asia/Jerusalem", "PRO", 8, rest_days=(4, 5)),
    Persona("polder-interiors", "Polder Interiors", "Europe/Amsterdam", "PRO", 10, story="slow"),
    Persona("guild-of-the-north", LONG_NAME, "Europe/Stockholm", "PRO", 14),
    Persona("sagebrush-outdoor", "Sagebrush Outdoor", "America/Phoenix", "PRO", 9),
    Persona("night-owl-covers", "Night Owl Book Covers", "Europe/Warsaw", "STARTER", 4, "evening", "near_limit"),
    Persona("kiwi-and-fern", "Kiwi & Fern", "Pacific/Auckland", "STARTER", 6),
    Persona("chatham-postcards", "Chatham Postcards", "Pacific/Chatham", "STARTER", 3, story="low"),
    Persona("lagos-lookbook", "Lagos Lookbook", "Africa/Lagos", "STARTER", 8, story="growth"),
    Persona("brass-monkey", "Brass Monkey Records", "Europe/London", "STARTER", 5, "evening"),
    Persona("olive-branch", "Olive Branch Kitchens", "Europe/Athens", "STARTER", 4, story="failing"),
    Persona("maple-and-moss", "Maple & Moss", "America/Halifax", "STARTER", 5),
    Persona("signal-hill", "Signal Hill Radio", "America/St_Johns", "STARTER", 3, story="stuck"),
    Persona("caffe-bellini", "Caffè Bellini", "Europe/Rome", "STARTER", 4, "weekend"),
    Persona("sierra-surf", "Sierra Surf", "America/Lima", "STARTER", 6, story="bursts"),
    Persona("plum-blossom", "梅花工作室", "Asia/Taipei", "STARTER", 7),
    Persona("hanok-homes", "한옥 홈즈", "Asia/Seoul", "STARTER", 6, story="decline"),
    Persona("dune-and-date", "Dune & Date", "Asia/Dubai", "STARTER", 5),
    Persona("iron-kettle", "Iron Kettle Brewing", "America/Chicago", "STARTER", 4, "evening"),
    Persona("barrow-lane", "Barrow Lane Bakery", "Europe/London", "STARTER", 2, "always"),
    Persona("drop-table", 'Robert\'); DROP TABLE "User";--', "Europe/Helsinki", "STARTER", 3),
    Persona("fresh-paint", "Fresh Paint Collective", "Europe/Lisbon", "STARTER", 9, story="new"),
    Persona("walnut-yoga", "Walnut Street Yoga", "America/New_York", "STARTER", 2, "weekend"),
    Persona("batik-bazaar", "Batik Bazaar", "Asia/Jakarta", "STARTER", 8),
    Persona("pixel-orchard", "Pixel Orchard", "America/Vancouver", "STARTER", 5, story="negative"),
    Persona("silk-road-maps", "Silk Road Maps", "Asia/Tashkent", "STARTER", 3),
    Persona("thistle-theatre", "Thistle Theatre", "Europe/London", "STARTER", 4, "evening", "stop"),
    Persona("cobalt-clinic", "Cobalt Dental Clinic", "Europe/Brussels", "STARTER", 2),
    Persona("samba-school", "Escola de Samba Aurora", "America/Sao_Paulo", "FREE", 6, "weekend", "bursts"),
    Persona("mosaic-museum", "Mosaic Museum", "Africa/Tunis", "FREE", 4),
    Persona("little-acorns", "Little Acorns Nursery", "Europe/London", "FREE", 2, story="near_limit"),
    Persona("jade-garden", "Jade Garden Tea", "Asia/Hong_Kong", "FREE", 3),
    Persona("windmill-zines", "Windmill Zines", "Europe/Amsterdam", "FREE", 1, "evening"),
    Persona("arctic-char", "Arctic Char Kayaks", "America/Anchorage", "FREE", 2, story="dry"),
    Persona("field-notes-club", "Field Notes Club", "Asia/Colombo", "FREE", 5, story="new"),
    Persona("ember-ceramics", "Ember Ceramics", "Europe/Copenhagen", "FREE", 1),
    Persona("lone-star-quilts", "Lone Star Quilts", "America/Chicago", "FREE", 1, "weekend"),
    Persona("null-and-sons", "NULL", "Europe/Budapest", "FREE", 2),
    Persona("quiet-harbor", "Quiet Harbor", "America/New_York", "FREE", 3, story="empty"),
)

"""Word lists of the synthetic shop."""

from __future__ import annotations

CATEGORIES = (
    *("lamp", "mug", "shirt", "chair", "shoe", "bag"),
    *("clock", "vase", "bottle", "hat", "cushion", "notebook"),
)
# The category that an item of two categories has besides its own, and the typical price of each.
COMPANION = (
    "clock",
    "bottle",
    "hat",
    "cushion",
    "bag",
    "notebook",
    "lamp",
    "mug",
    "vase",
    "shirt",
    "chair",
    "shoe",
)
TYPICAL_PRICE = (60.0, 14.0, 35.0, 120.0, 80.0, 55.0, 40.0, 30.0, 18.0, 24.0, 22.0, 9.0)

MATERIALS = {
    "lamp": ("brass", "steel", "walnut", "glass"),
    "mug": ("stoneware", "porcelain", "enamel", "glass"),
    "shirt": ("cotton", "linen", "flannel", "jersey"),
    "chair": ("oak", "walnut", "steel", "rattan"),
    "shoe": ("leather", "canvas", "suede", "mesh"),
    "bag": ("leather", "canvas", "nylon", "felt"),
    "clock": ("walnut", "brass", "steel", "bamboo"),
    "vase": ("glass", "porcelain", "terracotta", "stoneware"),
    "bottle": ("steel", "glass", "aluminium", "bamboo"),
    "hat": ("wool", "straw", "felt", "cotton"),
    "cushion": ("velvet", "linen", "wool", "cotton"),
    "notebook": ("recycled", "leather", "linen", "kraft"),
}

# Every style has adjectives for titles and a manner of speaking for descriptions.
STYLES = ("minimalist", "retro", "rustic", "sporty", "playful", "elegant", "industrial", "bohemian")
STYLE_WORDS = {
    "minimalist": ("plain", "clean-lined", "pared-back"),
    "retro": ("vintage", "old-school", "seventies"),
    "rustic": ("farmhouse", "hand-hewn", "country"),
    "sporty": ("athletic", "active", "fast-drying"),
    "playful": ("cheerful", "cartoon", "funny"),
    "elegant": ("graceful", "refined", "polished"),
    "industrial": ("workshop", "factory", "riveted"),
    "bohemian": ("free-spirited", "woven", "fringed"),
}
STYLE_SENTENCES = {
    "minimalist": ("Nothing is there that need not be.", "Calm lines and no ornament."),
    "retro": ("It looks as if it came from a shop window of 1974.", "A greeting from another decade."),
    "rustic": ("It would be at home in an old barn.", "Honest, a little rough and very warm."),
    "sporty": ("Made to move and to be used hard.", "Light, tough and quick to clean."),
    "playful": ("It makes people smile.", "Serious people should look elsewhere."),
    "elegant": ("Quiet luxury for a good evening.", "A slender shape with a fine finish."),
    "industrial": ("Bare bolts and an honest seam.", "It has the charm of an old workshop."),
    "bohemian": ("Fringes, knots and stories from the road.", "Everything in it was collected somewhere."),
}

USES = ("travel", "office", "gift", "children", "garden", "evening", "study", "kitchen")
USE_PHRASES = (
    *("for travelling", "for the office", "as a gift", "for children"),
    *("for the garden", "for evenings", "for study", "for the kitchen"),
)
USE_SENTENCES = {
    "travel": ("Goes into any suitcase and is ready for a journey.", "Travellers take it along."),
    "office": ("Made for the desk and for long working days.", "Colleagues will ask where it is from."),
    "gift": ("A present that needs no explanation; we wrap it.", "People buy it as a gift for birthdays."),
    "children": ("Safe for small hands and for the nursery.", "Children love it and parents can wash it."),
    "garden": (
        "Fine for the terrace, the lawn and a summer rain.",
        "It lives outdoors, in garden and balcony.",
    ),
    "evening": ("For dinners, concerts and late conversations.", "At its best after sunset, at a party."),
    "study": ("A companion for reading, lectures and exams.", "Students like it beside their books."),
    "kitchen": ("At home between stove and table.", "Cooks keep it within reach."),
}
QUALITY_SENTENCES = (
    ("A simple make at a fair price.", "Good for a season or two."),
    ("Solidly made.", "Decent work that lasts."),
    ("Made with great care and meant to be inherited.", "First-class work, checked by hand."),
)

COLOURS = {
    "red": (200, 45, 45),
    "orange": (235, 130, 35),
    "yellow": (235, 200, 50),
    "green": (55, 145, 75),
    "teal": (30, 140, 150),
    "blue": (45, 85, 190),
    "purple": (125, 65, 165),
    "pink": (230, 120, 165),
    "brown": (120, 80, 50),
    "black": (45, 45, 50),
}
PATTERNS = ("plain", "striped", "dotted", "checked", "marbled")

BRANDS = (
    *("Aldertree", "Bluewick", "Corvane", "Dunmore", "Eastloom", "Fennimore", "Garnet & Co", "Hollis"),
    *("Ivarsson", "Juniper Lane", "Kestrel", "Lumen", "Marrow", "Northgate", "Oriel", "Pemberton"),
)
PRICE_LEVELS = ("budget", "low", "middle", "high", "luxury")
COUNTRIES = ("AT", "BR", "CA", "DE", "FR", "IN", "JP", "NL", "PT", "US")

# Reviews: praise and complaint by the dimension they speak about; the first of each is about the thing as
# such.
PRAISE = {
    "theme": ("Exactly the kind of thing I love.", "Perfect for what I wanted it for."),
    "look": (
        "Beautiful colour, it looks wonderful.",
        "The pattern is lovely, even nicer than in the picture.",
    ),
    "price": ("Excellent value.", "Happy to pay that for it."),
    "brand": ("Great as always from this brand.", "This maker never disappoints, excellent."),
    "recency": (
        "A delightful find, just what I was waiting for.",
        "So glad that I discovered it, fantastic.",
    ),
}
COMPLAINT = {
    "theme": ("Not my kind of thing, disappointing.", "Useless for what I wanted it for."),
    "look": ("Ugly colour, it looks cheap.", "The pattern is dull and worse than in the picture."),
    "price": ("Poor value.", "I regret paying that for it."),
    "brand": ("A bad surprise from this brand.", "This maker disappointed me, awful."),
    "recency": ("Boring, I had hoped for something else.", "A sad find, I am sorry that I bought it."),
}
MIDDLING = ("It is all right.", "Does what it should, no more.", "Some good, some bad.")
PRAISE_ENDINGS = ("Would buy again!", "I recommend it.", "Great quality.", "Love it.", "")
COMPLAINT_ENDINGS = ("I sent it back.", "Would not buy again.", "Bad quality.", "Avoid.", "")

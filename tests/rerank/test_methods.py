"""The names of the methods, and that users find each of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfrec_div.rerank import METHODS

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("page", ["rerankers.md", "choosing-a-reranker.md"])
def test_every_method_has_a_row_in_the_tables(page):
    rows = [line for line in (DOCS / page).read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    text = "\n".join(
        row.split("|")[1].lower().replace("-", "").replace(" ", "").replace("*", "") for row in rows
    )
    for method in METHODS:
        assert method.replace("_", "") in text.replace("`", ""), method

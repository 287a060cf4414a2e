"""Claims about the report: a person can read it anywhere, and nothing in the data can break it."""

from __future__ import annotations

import base64
import io
import math
import re
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from tfrec_div.metrics import ReliabilityCurve
from tfrec_div.study.charts import NOTHING, format_number, line_chart, shorten, trade_off_chart
from tfrec_div.study.glossary import metric_key, metric_note
from tfrec_div.study.headline import find_roles
from tfrec_div.study.report import ItemCard, RunReport, UserExample, write_report
from tfrec_div.study.thumbnails import thumbnail_uri

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Reads a page and remembers its elements; a tag that is closed wrongly is an error."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.source = text
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.texts.setdefault(tag, []).append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        for tag in set(self.open):
            self.texts[tag][-1] += data

    def all(self, tag: str) -> list[dict]:
        return [attrs for name, attrs in self.elements if name == tag]

    @property
    def words(self) -> str:
        return " ".join(" ".join(parts) for tag, parts in self.texts.items() if tag == "main")


def picture(colour="red", size=(300, 200), mode="RGB", kind="PNG") -> bytes:
    data = io.BytesIO()
    Image.new(mode, size, colour).save(data, kind)
    return data.getvalue()


def interval(mean: float, half: float = 0.01) -> dict[str, float]:
    return {"mean": mean, "low": mean - half, "high": mean + half}


def report(**changes) -> RunReport:
    cards = [
        ItemCard(f"i{n}", f"Thing {n}", [f"kind {n % 3}"], picture() if n % 2 else None) for n in range(6)
    ]
    given = {
        "title": "A shop",
        "created": "2026-01-31T12:05:00+00:00",
        "announcements": ["No BERT weights were found: the tiny random text model was used."],
        "data": {"users": 500, "items": 400, "interactions": 15_001, "density": 0.075, "first_time": 0},
        "history": {"loss": [3.0, 2.0], "val_loss": [3.5, 2.5], "val_ndcg@10": [0.1, 0.2], "lr": [0.1, 0.1]},
        "evaluation": {
            "recommender": {
                "ndcg@10": interval(0.12),
                "ild_vectors@10": interval(0.6),
                "gini@10": interval(0.5),
            },
            "recommender, diversity 0": {"ndcg@10": interval(0.125), "ild_vectors@10": interval(0.5)},
            "popularity": {"ndcg@10": interval(0.04), "ild_vectors@10": interval(0.7)},
            "random": {"ndcg@10": interval(0.01), "ild_vectors@10": interval(0.9)},
        },
        "examples": [UserExample("u7", cards[:2], [cards[0], cards[1]], [cards[0], cards[2]])],
        "settings": {"model": "two_tower", "k": 10},
        "artifacts": {"SavedModel": "runs/demo/saved_model/1"},
        "warnings": ["Three rows were dropped."],
    }
    return RunReport(**{**given, **changes})


def page_of(folder, **changes) -> Page:
    return Page(write_report(folder / "report.html", report(**changes)).read_text(encoding="utf-8"))


def test_the_headline_says_what_was_trained_how_it_compares_and_what_diversifying_did(tmp_path):
    words = page_of(tmp_path).words
    assert "A two-tower model learned from 15,001 interactions of 500 users with 400 items." in words
    assert "3.0 times as well as a list of popular items does (NDCG @10 0.120 against 0.040)" in words
    # 0.5 -> 0.6 is 20 % more, 0.125 -> 0.12 is 4 % less.
    assert (
        "Diversifying raised variety within a list by 20% (0.500 → 0.600) and cost 4.0% of NDCG @10." in words
    )


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (interval(0.02), "does worse than a list of popular items"),
        (interval(0.045), "not clearly better or worse than a list of popular items"),
        ({"mean": 0.044, "low": 0.0435, "high": 0.0445}, "not clearly better or worse"),
    ],
)
def test_the_headline_admits_what_is_not_better_than_popularity(tmp_path, own, expected):
    popular = {"mean": 0.04, "low": 0.035, "high": 0.044}
    systems = {"recommender": {"ndcg@10": own}, "popularity": {"ndcg@10": popular}}
    assert expected in page_of(tmp_path, evaluation=systems).words


def test_without_a_plain_system_the_examples_say_what_diversifying_did(tmp_path):
    words = page_of(tmp_path, evaluation={"recommender": {"ndcg@10": interval(0.1)}}).words
    # One of two items was exchanged; kinds 0 and 1 before, 0 and 2 after.
    assert "diversifying exchanged 50% of the items; a list shows 2.00 categories instead of 2.00" in words


def test_announcements_warnings_data_and_commands_are_told(tmp_path):
    words = page_of(tmp_path).words
    for expected in (
        "No BERT weights were found: the tiny random text model was used.",
        "Three rows were dropped.",
        "7.5%",
        "1 Jan 1970",
        "31 January 2026, 12:05 UTC",
        "tfrec-div serve --model runs/demo/saved_model",
        'curl -d \'{"instances": [{"user_id": "u7"}]}\' http://localhost:8501/v1/models/saved_model:predict',
        f"tfrec-div recommend --run {tmp_path}",
    ):
        assert expected in words


def test_metrics_have_intervals_baselines_and_an_explanation(tmp_path):
    page = page_of(tmp_path)
    assert "0.110 to 0.130" in page.words
    assert "popularity" in page.words
    assert "random" in page.words
    explained = {attrs["title"] for attrs in page.all("abbr")}
    assert any(text.startswith("How well the list is ordered") for text in explained)
    assert "How unevenly recommendations are spread over the items" in page.words  # in the glossary too


def test_the_best_of_a_row_is_marked_in_the_right_direction(tmp_path):
    systems = {
        "recommender": {"gini": interval(0.2), "recall": interval(0.2)},
        "random": {"gini": interval(0.1)},
    }
    page = page_of(tmp_path, evaluation=systems)
    best = re.findall(r'<td class="best">([\d.]+)<small>', page.source)
    assert best == ["0.100"]  # less Gini is better; recall has nothing to compare with


def test_diversified_entries_that_are_new_are_marked(tmp_path):
    page = page_of(tmp_path)
    entries = [attrs.get("class") for attrs in page.all("li")]
    assert entries.count("new") == 1
    assert entries.count("gone") == 1


def test_nothing_is_fetched_from_anywhere(tmp_path):
    page = page_of(tmp_path)
    for _, attrs in page.elements:
        for name in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
            assert attrs.get(name, "#").startswith(("#", "data:image/jpeg;base64,"))
    assert {"script", "iframe", "object", "embed", "link", "base", "form"}.isdisjoint(
        t for t, _ in page.elements
    )
    assert "@import" not in page.source
    assert "url(" not in page.source
    policies = [attrs["content"] for attrs in page.all("meta") if "http-equiv" in attrs]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


def test_it_can_be_read_out_and_found_its_way_in(tmp_path):
    page = page_of(tmp_path)
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("img")) == 2
    assert all(attrs.get("alt") for attrs in page.all("img"))
    assert all(attrs.get("role") == "img" and attrs.get("aria-label") for attrs in page.all("svg"))
    assert len(page.all("caption")) == len(page.all("table"))
    assert all("scope" in attrs for attrs in page.all("th"))
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {attrs["href"][1:] for attrs in page.all("a")} <= set(ids)
    assert "prefers-color-scheme: dark" in page.source
    assert any(attrs.get("name") == "viewport" for attrs in page.all("meta"))


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7*7 }}</style></title>\u202e\x00\ud800"


def test_hostile_texts_are_shown_and_not_run(tmp_path):
    card = ItemCard(HOSTILE, HOSTILE, [HOSTILE], picture())
    page = page_of(
        tmp_path,
        title=HOSTILE,
        created=HOSTILE,
        announcements=[HOSTILE],
        warnings=[HOSTILE],
        data={"users": HOSTILE, HOSTILE: HOSTILE},
        history={HOSTILE: [1.0, 2.0]},
        evaluation={
            HOSTILE: {"ndcg": interval(0.1), "ild": interval(0.1), HOSTILE: interval(0.1)},
            "popularity": {"ndcg": interval(0.2), "ild": interval(0.3)},
        },
        examples=[UserExample(HOSTILE, [card], [card], [card])],
        settings={"model": HOSTILE, HOSTILE: {HOSTILE: [HOSTILE]}},
        artifacts={HOSTILE: HOSTILE, "SavedModel": HOSTILE},
    )
    names = {tag for tag, _ in page.elements}
    assert "script" not in names
    assert not any(name.startswith("on") for _, attrs in page.elements for name in attrs)
    assert {attrs["src"][:23] for attrs in page.all("img")} == {"data:image/jpeg;base64,"}
    assert "<script>alert(1)</script>" in page.words
    assert "49" not in page.texts["h1"][0]


def test_texts_of_100000_characters_are_cut(tmp_path):
    long = "word " * 20_000
    card = ItemCard(long, long, [long] * 1000)
    page = page_of(
        tmp_path,
        title=long,
        created=long,
        announcements=[long],
        warnings=[long],
        data={"users": long},
        history={long: [1.0]},
        evaluation={long: {"ndcg": interval(0.1), "ild": interval(0.1), long: interval(0.1)}},
        examples=[UserExample(long, [card] * 1000, [card] * 1000, [card] * 1000)] * 100,
        settings={long: long},
    )
    assert len(page.source) < 2_000_000
    assert len(page.texts["h1"][0]) <= 120
    assert page.texts["h1"][0].endswith("…")


def test_the_stages_of_a_cascade_stand_side_by_side(tmp_path):
    stages = {
        "retrieval": {"pool_recall": 0.8, "auc": 0.71},
        "ranking": {"auc": 0.76, "log_loss": 0.25, "rmse": math.nan},
    }
    times = {"retrieval": 3.14159, "ranking": 12.5, "re-ranking": 2.0}
    page = page_of(tmp_path, stages=stages, latency=times, latency_users=256)
    rows = re.findall(
        r"<tr>(.*?)</tr>", page.source.partition('id="stages"')[2].partition("</section>")[0], re.S
    )
    cells = [re.sub(r"<[^>]+>|\s+", " ", row).split() for row in rows]
    assert cells[0] == ["Metric", "retrieval", "ranking", "re-ranking"]
    assert cells[2] == ["AUC", "↑", "0.710", "0.760", NOTHING]
    assert cells[3] == ["Log", "loss", "↓", NOTHING, "0.250", NOTHING]
    assert cells[-1] == ["Time,", "milliseconds", "3.14", "12.5", "2.00"]
    assert "one batch of 256 users" in page.words
    assert "log loss" in " ".join(page.texts["dt"]).lower()
    assert "nan" not in page.source.lower()


def test_a_chart_tells_whether_the_rankers_probabilities_hold(tmp_path):
    curve = ReliabilityCurve(np.array([0.1, np.nan, 0.4]), np.array([0.05, np.nan, 0.5]), np.array([7, 0, 3]))
    page = page_of(tmp_path, stages={"ranking": {"auc": 0.7}}, reliability=curve)
    part = page.source.partition('id="stages"')[2].partition("</section>")[0]
    assert part.count("<circle") == 2
    assert "0.100 came 0.050, 0.400 came 0.500" in part


def test_without_stages_there_is_no_table_of_them(tmp_path):
    source = page_of(tmp_path).source
    assert 'id="stages"' not in source
    assert "probabilities hold" not in source


def test_pictures_become_small_jpegs(tmp_path):
    source = page_of(tmp_path).all("img")[0]["src"]
    small = Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2])))
    assert small.format == "JPEG"
    assert small.size == (96, 64)
    red, green, blue = small.getpixel((48, 32))
    assert red > 240
    assert max(green, blue) < 15


@pytest.mark.parametrize(
    "data", [None, b"", b"no picture", picture()[:60], b"\xff\xd8\xff\xe0" + b"\0" * 50, b"GIF89a"]
)
def test_a_picture_that_cannot_be_read_is_left_out(data):
    assert thumbnail_uri(data) == ""


def test_a_transparent_picture_gets_a_white_ground():
    uri = thumbnail_uri(picture((255, 0, 0, 0), mode="RGBA"))
    small = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    assert min(small.getpixel((5, 5))) > 250


def test_an_item_without_a_picture_gets_a_card_with_its_initial(tmp_path):
    item = ItemCard("i1", "Österlen mug", image=b"broken")
    page = page_of(tmp_path, examples=[UserExample("u", [item], [item], [item])])
    assert page.all("img") == []
    assert page.source.count('<span aria-hidden="true">Ö</span>') == 3


def test_a_report_of_nothing_is_still_a_page(tmp_path):
    page = Page(write_report(tmp_path / "a" / "b.html", RunReport("", "")).read_text(encoding="utf-8"))
    assert page.texts["h1"] == ["Report"]
    assert "A recommender was trained." in page.words


def test_values_that_are_not_numbers_leave_gaps(tmp_path):
    nan = math.nan
    systems = {
        "recommender": {"ndcg@10": {"mean": nan, "low": nan, "high": nan}, "ild@10": interval(0.3)},
        "popularity": {"ndcg@10": interval(0.1), "ild@10": interval(0.2)},
    }
    page = page_of(
        tmp_path, evaluation=systems, history={"loss": [nan, 1.0, math.inf, 3.0, 2.0], "val_loss": [nan]}
    )
    assert "nan" not in page.source.lower()
    assert page.source.count("<polyline") == 1  # only the last two values follow each other


def test_the_file_is_replaced_as_a_whole_or_not_at_all(tmp_path):
    path = write_report(tmp_path / "report.html", report())
    before = path.read_text(encoding="utf-8")
    with pytest.raises(TypeError):
        write_report(
            path, report(evaluation={"recommender": {"ndcg@10": {"mean": "many", "low": 0, "high": 1}}})
        )
    assert path.read_text(encoding="utf-8") == before
    write_report(path, report(title="Another"))
    assert "Another" in path.read_text(encoding="utf-8")
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_the_labels_of_a_trade_off_stand_whole_inside_of_the_chart():
    value = {"mean": 0.5, "low": 0.4, "high": 0.6}
    names = ["recommender", "recommender, diversity 0", "popularity"]
    chart = trade_off_chart("NDCG", "ILD", dict.fromkeys(names, (value, value)), names[:2])
    width = float(re.search(r'viewBox="0 0 (\d+)', chart).group(1))
    for name in names:
        start = float(re.search(rf'x="([\d.]+)"[^>]*>{name}</text>', chart).group(1))
        # 12 px bold letters are 7.7 px wide on average in DejaVu Sans, the widest of the fonts asked for.
        assert start + 7.7 * len(name) <= width


def test_a_chart_reads_out_where_its_curves_begin_and_end():
    chart = line_chart("Loss", {"training": [4.0, 3.0, 1.0]})
    assert 'aria-label="Loss over 3 epochs: training from 4.00 to 1.00"' in chart
    points = re.search(r'points="([^"]+)"', chart).group(1).split()
    heights = [float(point.split(",")[1]) for point in points]
    assert heights[0] < heights[1] < heights[2]  # SVG counts from the top, so a falling loss goes down
    # 4, 3, 1: the second step is twice as high as the first.
    assert (heights[2] - heights[1]) == pytest.approx(2 * (heights[1] - heights[0]), abs=0.3)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (1234567, "1,234,567"),
        (15.26, "15.3"),
        (1.005, "1.00"),
        (0, "0.00"),
        (0.0456, "0.046"),
        (-0.5, "-0.500"),
    ],
)
def test_numbers_have_about_three_digits(value, written):
    assert format_number(value) == written


def test_shorten_keeps_short_texts_and_cuts_long_ones():
    assert shorten("A plain mug", 20) == "A plain mug"
    assert shorten("a\nb\x00\tc", 20) == "a b c"
    assert shorten("abcdef", 4) == "abc…"
    assert len(shorten("x" * 100_000, 70)) == 70


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("ndcg@10", "ndcg"),
        ("NDCG", "ndcg"),
        ("ild_vectors@5", "ild"),
        ("intra_list_distance", "ild"),
        ("ild_categories@10", "ild_categories"),
        ("novelty_mean", "novelty"),
        ("my_metric@3", "my_metric@3"),
    ],
)
def test_spellings_of_a_metric_are_recognised(name, key):
    assert metric_key(name) == key


def test_an_unknown_metric_keeps_its_name_and_claims_nothing():
    note = metric_note("my_metric@3")
    assert (note.label, note.meaning, note.better) == ("my metric @3", "", 0)


def test_systems_are_told_apart_by_name_or_by_being_named():
    names = ["recommender", "recommender, diversity 0", "popularity", "random"]
    roles = find_roles({name: {} for name in names})
    assert (roles.main, roles.plain, roles.popularity) == (
        "recommender",
        "recommender, diversity 0",
        "popularity",
    )
    assert find_roles({"a": {}, "b": {}}, main="b", plain="a").plain == "a"
    # What the re-ranker started from is the order of the ranker.
    cascade = find_roles({name: {} for name in ("recommender", "ranking", "retrieval", "popularity")})
    assert (cascade.main, cascade.plain) == ("recommender", "ranking")
    assert find_roles({"recommender": {}, "retrieval": {}}).plain == "retrieval"
    assert find_roles({}).main is None
    assert find_roles({"popularity": {}}).main is None

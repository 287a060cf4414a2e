"""Claims about the synthetic shop: what is planted can be found, and chance is reproducible."""

from __future__ import annotations

import io
import re
import time

import numpy as np
import pytest
from PIL import Image

from tfrec_div.data.folder import load_folder
from tfrec_div.data.synthetic import SyntheticDataset, make_synthetic
from tfrec_div.data.truth import Truth
from tfrec_div.data.write import write_folder


@pytest.fixture(scope="module")
def shop() -> SyntheticDataset:
    return make_synthetic()


@pytest.fixture(scope="module")
def big() -> SyntheticDataset:
    return make_synthetic(num_users=2000, num_items=600, images=False, ratings=True, seed=5)


def area_under_curve(scores: np.ndarray, positive: np.ndarray) -> float:
    """Probability that a positive scores above a negative (Mann-Whitney; the scores have next to no ties)."""
    rank = np.argsort(np.argsort(scores)) + 1
    hits = positive.sum()
    return (rank[positive].sum() - hits * (hits + 1) / 2) / (hits * (len(scores) - hits))


def test_the_default_is_a_small_shop_with_every_modality(shop):
    summary = shop.summary()
    assert (summary["users"], summary["items"], summary["categories"]) == (500, 400, 12)
    assert summary["interactions"] == pytest.approx(15_000, rel=0.03)
    assert 0.9 < summary["with_image"] < 1.0
    assert summary["with_text"] == 1.0
    assert {"title", "description", "categories", "image", "price", "brand", "release_date"} == set(
        shop.catalog.columns
    )
    assert {"age", "country"} == set(shop.users.columns)
    log = shop.interactions
    assert set(log.event) == {"view", "save", "cart", "purchase"}
    assert log.rating is None
    assert (log.dwell > 0).all()
    assert len({(u, i) for u, i in zip(log.user.tolist(), log.item.tolist(), strict=True)}) == len(log)


def test_the_same_seed_gives_the_same_shop_and_another_seed_another():
    small = {"num_users": 30, "num_items": 40, "interactions_per_user": 6, "image_size": 16}
    first, again, other = (make_synthetic(**small, seed=seed) for seed in (3, 3, 4))
    assert first.equals(again)
    assert not first.equals(other)
    np.testing.assert_array_equal(first.truth.interests, again.truth.interests)


def test_leaving_out_the_pictures_changes_nothing_else():
    small = {"num_users": 30, "num_items": 40, "interactions_per_user": 6, "image_size": 16}
    with_pictures, without = make_synthetic(**small), make_synthetic(**small, images=False)
    assert with_pictures.interactions.equals(without.interactions)
    assert with_pictures.catalog.titles() == without.catalog.titles()
    assert "image" not in without.catalog.columns


def test_a_split_still_knows_the_truth(shop):
    train, test = shop.split("temporal")
    assert train.truth is shop.truth
    assert test.truth is shop.truth


def test_it_survives_being_written_as_a_folder(tmp_path):
    small = make_synthetic(num_users=20, num_items=25, interactions_per_user=5, image_size=16, ratings=True)
    write_folder(small, tmp_path / "shop")
    assert load_folder(tmp_path / "shop").interactions.equals(small.interactions)
    assert load_folder(tmp_path / "shop").catalog.titles() == small.catalog.titles()


@pytest.mark.parametrize(
    ("argument", "value"),
    [("num_users", 0), ("num_items", 1), ("interactions_per_user", 0.5), ("image_size", 4)],
)
def test_a_number_that_is_too_small_is_named(argument, value):
    with pytest.raises(ValueError, match=f"expected {argument} of .* or more, got {value}"):
        make_synthetic(**{argument: value})


def test_the_smallest_shop_works():
    assert len(make_synthetic(num_users=1, num_items=2, interactions_per_user=1, image_size=8).catalog) == 2


def test_a_few_items_have_most_of_the_interactions(shop):
    counts = np.sort(shop.interactions.item_counts())[::-1]
    assert counts[:80].sum() / counts.sum() > 0.4  # chance: 0.2


def test_a_few_users_are_very_active(big):
    counts = np.bincount(big.interactions.user, minlength=2000)
    assert counts.min() >= 2
    assert counts.max() > 4 * counts.mean()
    assert np.median(counts) < 0.85 * counts.mean()


def test_nothing_happens_before_release_or_joining_or_after_the_end(big):
    log, truth = big.interactions, big.truth
    assert (log.timestamp >= truth.released[log.item]).all()
    assert (log.timestamp >= truth.joined[log.user]).all()
    assert (log.timestamp <= truth.end).all()
    assert (big.impressions.timestamp >= truth.released[big.impressions.item]).all()


def test_users_take_what_they_want_far_more_than_chance(shop):
    log, truth = shop.interactions, shop.truth
    others = np.random.default_rng(1).integers(0, 400, len(log))
    out = truth.released[others] <= log.timestamp
    taken = truth.affinity(log.user, log.item, log.timestamp)[out]
    at_random = truth.affinity(log.user, others, log.timestamp)[out]
    assert taken.mean() > 2 * at_random.mean()
    scores, labels = np.concatenate([taken, at_random]), np.repeat([True, False], len(taken))
    assert area_under_curve(scores, labels) > 0.75


@pytest.mark.parametrize("dimension", ["theme", "look", "price", "brand", "recency"])
def test_every_dimension_leaves_its_mark_on_those_who_care(big, dimension):
    log, truth = big.interactions, big.truth
    cares = truth.interests[log.user, truth.dimensions.index(dimension)] > 0.5
    user, item, when = log.user[cares], log.item[cares], log.timestamp[cares]
    others = np.random.default_rng(2).integers(0, 600, len(user))
    out = truth.released[others] <= when
    taken = truth.match(dimension, user, item, when)[out].mean()
    at_random = truth.match(dimension, user, others, when)[out].mean()
    assert len(user) > 500
    assert taken > 1.25 * at_random
    assert taken > at_random + 0.1


def test_those_who_do_not_care_choose_look_as_chance_does(big):
    log, truth = big.interactions, big.truth
    cares = truth.interests[:, truth.dimensions.index("look")]
    indifferent = cares[log.user] == 0
    match = truth.match("look", log.user, log.item, log.timestamp)
    popular = np.random.default_rng(0).choice(log.item, len(log))
    chance = truth.match("look", log.user, popular, log.timestamp)
    assert abs(match[indifferent].mean() - chance[indifferent].mean()) < 0.05


def test_tastes_drift(big):
    log, truth = big.interactions, big.truth
    start, end = truth.taste_start["theme"], truth.taste_end["theme"]
    moved = ((start > 0) & (end > 0)).sum(1) == 0
    moved &= truth.interests[:, 0] > 0.3
    assert moved.sum() > 50
    progress = truth.progress(log.user, log.timestamp)
    factors = truth.text_factors[log.item]
    by_old = (start[log.user] * factors).sum(1)
    by_new = (end[log.user] * factors).sum(1)
    early, late = moved[log.user] & (progress < 0.3), moved[log.user] & (progress > 0.7)
    assert by_old[early].mean() > 1.5 * by_old[late].mean()
    assert by_new[late].mean() > 1.5 * by_new[early].mean()


def test_what_stands_higher_is_clicked_more_and_propensities_explain_it(big):
    shown = big.impressions
    assert sorted(set(shown.position.tolist())) == list(range(1, 11))
    top, bottom = shown.position <= 2, shown.position >= 8
    raw = shown.clicked[top].mean() / shown.clicked[bottom].mean()
    weighted = shown.clicked / shown.propensity
    corrected = weighted[top].mean() / weighted[bottom].mean()
    assert raw > 3.5
    assert 1.0 < corrected < raw / 2  # what remains is that the shop ranks by a rough idea of the user


def test_a_look_at_a_position_is_as_likely_as_its_propensity_says():
    # 1 / position ** 0.8
    shown = make_synthetic(num_users=60, num_items=60, images=False).impressions
    by_position = {int(p): float(v) for p, v in zip(shown.position, shown.propensity, strict=True)}
    assert by_position[1] == pytest.approx(1.0)
    assert by_position[2] == pytest.approx(0.5743, abs=1e-4)
    assert by_position[10] == pytest.approx(0.1585, abs=1e-4)


def test_every_click_is_an_interaction_and_no_list_shows_an_item_twice(shop):
    log, shown = shop.interactions, shop.impressions
    taken = set(zip(log.user.tolist(), log.item.tolist(), strict=True))
    clicked = zip(shown.user[shown.clicked].tolist(), shown.item[shown.clicked].tolist(), strict=True)
    assert set(clicked) <= taken
    lists = list(zip(shown.user.tolist(), shown.timestamp.tolist(), shown.item.tolist(), strict=True))
    assert len(set(lists)) == len(lists)


LIKES = re.compile(
    r"\b(love|perfect|beautiful|lovely|excellent|happy|great|delightful|wonderful|recommend)\b", re.I
)
DISLIKES = re.compile(
    r"\b(not|useless|ugly|dull|poor|regret|bad|awful|boring|sad|avoid|disappoint\w+)\b", re.I
)


def test_reviews_say_what_the_truth_says(big):
    log, truth = big.interactions, big.truth
    written = log.review != ""
    assert 0.1 < written.mean() < 0.3
    verdict = np.array([len(LIKES.findall(r)) - len(DISLIKES.findall(r)) for r in log.review[written]])
    affinity = truth.affinity(log.user, log.item, log.timestamp)[written]
    liking = affinity + 0.1 * truth.quality[log.item[written]]
    clear = verdict != 0
    assert (verdict > 0).sum() > 500
    assert (verdict < 0).sum() > 500
    assert area_under_curve(liking[clear], verdict[clear] > 0) > 0.85


def test_events_go_deeper_and_dwell_longer_where_the_wish_is_stronger(big):
    log, truth = big.interactions, big.truth
    affinity = truth.affinity(log.user, log.item, log.timestamp)
    assert affinity[log.event == "purchase"].mean() > affinity[log.event == "view"].mean() + 0.1
    assert np.corrcoef(affinity, np.log(log.dwell))[0, 1] > 0.2


def test_ratings_are_whole_numbers_from_1_to_5_that_follow_the_truth(big):
    log = big.interactions
    assert set(log.rating.tolist()) == {1.0, 2.0, 3.0, 4.0, 5.0}
    affinity = big.truth.affinity(log.user, log.item, log.timestamp)
    assert np.corrcoef(affinity, log.rating)[0, 1] > 0.5


def pictures(shop) -> tuple[np.ndarray, np.ndarray]:
    rows = np.flatnonzero(shop.catalog.has_image)
    decoded = [Image.open(io.BytesIO(shop.catalog.image_bytes(row))) for row in rows]
    assert {(p.format, p.size, p.mode) for p in decoded} == {("JPEG", (64, 64), "RGB")}
    return rows, np.stack([np.asarray(p, float) for p in decoded])


def nearest_mean_accuracy(features: np.ndarray, labels: np.ndarray) -> float:
    """Every second picture is named after the class whose mean over the others is nearest."""
    classes = np.unique(labels)
    means = np.stack([features[0::2][labels[0::2] == c].mean(0) for c in classes])
    distance = ((features[1::2, None] - means) ** 2).sum(-1)
    return float((classes[distance.argmin(1)] == labels[1::2]).mean())


def test_the_colour_of_a_picture_follows_the_truth(shop):
    rows, pixels = pictures(shop)
    ink = pixels.min(-1) < 190  # the background is paler
    mean_colour = np.stack([p[i].mean(0) for p, i in zip(pixels, ink, strict=True)])
    assert nearest_mean_accuracy(mean_colour, shop.truth.colour[rows]) > 0.7  # chance: 0.1


def test_the_shape_of_a_picture_follows_the_category(shop):
    rows, pixels = pictures(shop)
    single = np.array(["|" not in c for c in shop.catalog.columns["categories"][rows]])
    shapes = (pixels[single].min(-1) < 190).reshape(single.sum(), -1).astype(float)
    assert nearest_mean_accuracy(shapes, shop.truth.category[rows][single]) > 0.9  # chance: 1 in 12


def test_the_text_tells_category_style_and_often_the_colour(shop):
    names = shop.truth.factor_names
    texts = [text.lower() for text in shop.catalog.texts()]
    titles = [title.lower() for title in shop.catalog.titles()]
    category = [names["theme"][index] for index in shop.truth.category]
    assert all(name in title for name, title in zip(category, titles, strict=True))
    style = [names["theme"][12 + int(np.argmax(row[12:20]))] for row in shop.truth.text_factors]
    said = np.mean([name in text for name, text in zip(style, texts, strict=True)])
    assert said > 0.93  # some items have no description
    colour = [names["look"][index] for index in shop.truth.colour]
    assert 0.6 < np.mean([title.endswith(name) for name, title in zip(colour, titles, strict=True)]) < 0.9


def test_some_items_have_two_categories_and_some_lack_something(shop):
    columns = shop.catalog.columns
    assert 0.08 < np.mean(["|" in value for value in columns["categories"]]) < 0.25
    assert 0 < (columns["description"] == "").sum() < 40
    assert 0 < np.isnan(columns["price"]).sum() < 40
    assert 0 < (~shop.catalog.has_image).sum() < 40


def test_price_and_brand_follow_the_truth(shop):
    level = shop.truth.factors["price"].argmax(1)
    price = shop.catalog.columns["price"]
    for category in range(12):
        mine = (shop.truth.category == category) & ~np.isnan(price)
        assert np.corrcoef(level[mine], np.log(price[mine]))[0, 1] > 0.8
    names = np.array(shop.truth.factor_names["brand"], dtype=object)
    assert (shop.catalog.columns["brand"] == names[shop.truth.factors["brand"].argmax(1)]).all()


def test_those_who_took_the_same_things_predict_better_than_popularity(shop):
    train, test = shop.split("temporal", test=0.2)
    taken = np.zeros((500, 400))
    taken[train.interactions.user, train.interactions.item] = 1
    wanted = np.zeros((500, 400), bool)
    relevant = test.interactions.take(test.interactions.relevant())
    wanted[relevant.user, relevant.item] = True
    together = taken.T @ taken
    np.fill_diagonal(together, 0)
    norm = np.sqrt(np.maximum(taken.sum(0), 1))

    def hits(scores):
        top = np.argsort(np.where(taken > 0, np.inf, -scores), axis=1)[:, :10]
        return np.take_along_axis(wanted, top, axis=1).mean()

    popularity = hits(np.tile(taken.sum(0), (500, 1)))
    neighbours = hits(taken @ (together / np.outer(norm, norm)))
    assert neighbours > 1.5 * popularity


def test_affinity_worked_by_hand():
    truth = Truth(
        dimensions=("theme", "recency"),
        interests=np.array([[0.75, 0.25]], np.float32),
        factors={"theme": np.array([[1, 0], [0, 1]], np.float32)},
        factor_names={"theme": ("lamp", "mug"), "recency": ("new", "established")},
        taste_start={"theme": np.array([[1, 0]], np.float32), "recency": np.array([[1, 0]], np.float32)},
        taste_end={"theme": np.array([[0, 1]], np.float32), "recency": np.array([[1, 0]], np.float32)},
        joined=np.array([0]),
        released=np.array([0, -90 * 86_400]),
        end=90 * 86_400,
        category=np.array([0, 1]),
        colour=np.zeros(2, int),
        pattern=np.zeros(2, int),
        quality=np.zeros(2),
        popularity=np.full(2, 0.5),
        examination=np.ones(1),
    )
    user, item = np.array([0, 0, 0, 0]), np.array([0, 0, 1, 1])
    when = np.array([0, 45 * 86_400, 0, 90 * 86_400])
    # Theme: 1, 1/2, 0, 1. Newness: e^0, e^-1/2, e^-1, e^-2. Affinity: 3/4 of the one and 1/4 of the other.
    expected = [1.0, 0.375 + 0.25 * 0.606531, 0.25 * 0.367879, 0.75 + 0.25 * 0.135335]
    np.testing.assert_allclose(truth.affinity(user, item, when), expected, atol=1e-5)
    np.testing.assert_allclose(truth.progress(user, when), [0, 0.5, 0, 1])


@pytest.mark.slow
def test_twenty_thousand_users_and_five_thousand_items_take_less_than_half_a_minute():
    start = time.perf_counter()
    shop = make_synthetic(num_users=20_000, num_items=5_000, images=False)
    assert time.perf_counter() - start < 30
    assert len(shop.interactions) == pytest.approx(600_000, rel=0.03)

"""Propensities of positions, on logs with a planted bias."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec_div.data.impressions import Impressions
from tfrec_div.tasks.ranking.propensity import (
    PositionPropensities,
    estimate_propensities,
    inverse_propensity_weights,
    logged_propensities,
)


def planted_log(eta: float, lists: int = 20_000, items: int = 30, places: int = 8, personal: bool = False):
    """Lists of items that the shop orders by a rough idea of what they are worth; looks fall as 1 / rank^eta."""
    rng = np.random.default_rng(7)
    users = 40
    wish = rng.uniform(0.1, 0.8, (users if personal else 1, items))
    user = rng.integers(0, users, lists)
    own = wish[user % len(wish)]
    # The idea is rough: an item is shown at several places, but good ones more often at the top.
    shown = np.argsort(-(own + rng.normal(0, 0.3, own.shape)), axis=1)[:, :places]
    look = 1.0 / np.arange(1, places + 1) ** eta
    clicked = rng.random(shown.shape) < look * np.take_along_axis(own, shown, axis=1)
    log = Impressions.from_rows(
        user=np.repeat(user, places),
        item=shown.ravel(),
        timestamp=np.repeat(np.arange(lists), places),
        position=np.tile(np.arange(1, places + 1), lists),
        clicked=clicked.ravel(),
    )
    return log, wish, look


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0, 2.0])
def test_the_planted_bias_is_found(eta):
    log, _, look = planted_log(eta)
    found = estimate_propensities(log)
    assert found.positions.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    np.testing.assert_allclose(found.values, look, rtol=0.1, atol=0.01)
    # Click rates alone, which good places at the top exaggerate, are further off.
    rates = np.bincount(log.position, log.clicked)[1:] / np.bincount(log.position)[1:]
    assert np.abs(rates / rates[0] / look - 1).max() > 0.15


def test_personal_lists_need_users_and_items():
    log, _, look = planted_log(1.0, lists=40_000, personal=True)
    by_both = estimate_propensities(log, group="user_item").values
    by_item = estimate_propensities(log).values
    np.testing.assert_allclose(by_both, look, rtol=0.15)
    assert np.abs(by_both - look).max() < 0.5 * np.abs(by_item - look).max()


def test_weights_recover_the_order_of_items_where_click_rates_do_not():
    """Worse items at better places get more clicks; weighted clicks tell what is wished for."""
    rng = np.random.default_rng(0)
    wish, look = np.array([0.3, 0.5, 0.7]), np.array([1.0, 0.4, 0.15])
    # The shop shows the items in the wrong order seven times of ten, and otherwise in any.
    order = np.tile([0, 1, 2], (30_000, 1))
    mixed = rng.random(len(order)) < 0.3
    order[mixed] = rng.permuted(order[mixed], axis=1)
    log = Impressions.from_rows(
        user=np.zeros(order.size),
        item=order.ravel(),
        timestamp=np.repeat(np.arange(len(order)), 3),
        position=np.tile([1, 2, 3], len(order)),
        clicked=(rng.random(order.shape) < look * wish[order]).ravel(),
    )
    rates = np.bincount(log.item, log.clicked) / np.bincount(log.item)
    assert np.argsort(-rates).tolist() == [0, 1, 2]
    weights = inverse_propensity_weights(log)
    corrected = np.bincount(log.item, log.clicked * weights) / np.bincount(log.item)
    assert np.argsort(-corrected).tolist() == [2, 1, 0]
    np.testing.assert_allclose(corrected, wish, rtol=0.1)


def small_log(**columns):
    given = {
        "user": np.zeros(4),
        "item": np.arange(4),
        "timestamp": np.zeros(4),
        "position": [1, 2, 3, 4],
        "clicked": [1, 0, 1, 0],
    }
    return Impressions.from_rows(**{**given, **columns})


def test_propensities_of_the_log_come_first_and_weights_are_clipped():
    log = small_log(propensity=[1.0, 0.5, np.nan, 0.01])
    known = PositionPropensities(np.array([1, 3]), np.array([1.0, 0.2]))
    assert inverse_propensity_weights(log, known).tolist() == [1.0, 2.0, 5.0, 20.0]
    assert inverse_propensity_weights(log, known, clip=3.0).tolist() == [1.0, 2.0, 3.0, 3.0]
    assert inverse_propensity_weights(log, known, clip=1.0).tolist() == [1.0] * 4


def test_a_position_without_clicks_has_the_greatest_weight():
    log, _, _ = planted_log(1.0, lists=500)
    none = log.take(~((log.position == 3) & log.clicked))
    assert estimate_propensities(none).values[2] == 0.0
    assert (inverse_propensity_weights(none)[none.position == 3] == 20.0).all()


def test_without_any_click_all_positions_are_alike():
    log = small_log(clicked=[0, 0, 0, 0])
    assert estimate_propensities(log).values.tolist() == [1.0] * 4
    assert inverse_propensity_weights(log).tolist() == [1.0] * 4


def test_everything_clicked_is_everything_looked_at():
    np.testing.assert_allclose(estimate_propensities(small_log(clicked=[1, 1, 1, 1])).values, 1.0)


def test_positions_count_as_the_log_does():
    clicked = np.tile(np.arange(10), 4) < np.repeat([8, 4, 4, 2], 10)
    columns = {"user": np.zeros(40), "timestamp": np.zeros(40), "item": np.repeat([0, 1, 0, 1], 10)}
    log = Impressions.from_rows(**columns, position=np.repeat([0, 0, 5, 5], 10), clicked=clicked)
    found = estimate_propensities(log)
    assert found.positions.tolist() == [0, 5]
    np.testing.assert_allclose(found.values, [1.0, 0.5], atol=1e-3)


def test_the_column_of_the_log_as_a_table():
    log = small_log(position=[1, 1, 2, 3], propensity=[0.8, 0.4, 0.3, np.nan])
    found = logged_propensities(log)
    assert found.positions.tolist() == [1, 2]
    np.testing.assert_allclose(found.values, [1.0, 0.5], rtol=1e-6)
    assert found.at(np.array([[0, 1], [2, 7]])).shape == (2, 2)


def test_the_synthetic_shop_logs_its_propensities():
    from tfrec_div.data.synthetic import make_synthetic

    data = make_synthetic(num_users=30, num_items=40, seed=1, images=False)
    found = logged_propensities(data.impressions)
    assert found.values[0] == 1.0
    assert (np.diff(found.values) < 0).all()


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="group: expected one of item, user_item, got 'user'"):
        estimate_propensities(small_log(), group="user")
    with pytest.raises(ValueError, match="impressions: expected at least one"):
        estimate_propensities(small_log().take(np.zeros(4, bool)))
    with pytest.raises(ValueError, match="expected a column propensity"):
        logged_propensities(small_log())
    with pytest.raises(ValueError, match=r"clip: expected at least 1, got 0\.5"):
        inverse_propensity_weights(small_log(), clip=0.5)

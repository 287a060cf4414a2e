"""Kernels: by hand, as they are written, and what they do to a page."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec_div._keras import keras, tf
from tfrec_div.rerank import (
    DPP,
    MMR,
    RBF,
    SSD,
    Cosine,
    Dot,
    Equality,
    Jaccard,
    Mixture,
    diversify,
    make_kernel,
)
from tfrec_div.rerank.inputs import check_inputs
from tfrec_div.rerank.pool import make_pool

VECTORS = np.array([[3.0, 4.0], [0.0, 2.0], [0.0, 0.0]])
SETS = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
BRANDS = np.array([7, 7, -1])


def similarities(kernel, **features):
    inputs = {"scores": np.zeros((1, 3)), **{key: value[np.newaxis] for key, value in features.items()}}
    for layout in (1, 2):  # one list is a matrix, two are a batch
        batch = {key: np.repeat(value, layout, axis=0) for key, value in inputs.items()}
        pool = make_pool(check_inputs("test", batch, batch, ()), (), 0.5, "none", 2)
        similarity = kernel.of(pool, 1.0)
        found = np.stack([similarity.to(tf.fill([layout], n)).numpy()[-1] for n in range(3)])
        np.testing.assert_allclose(similarity.matrix().numpy()[-1], found, atol=1e-6)
    return found


@pytest.mark.parametrize(
    ("kernel", "features", "expected"),
    [
        (Cosine(), {"vectors": VECTORS}, [[1, 0.8, 0], [0.8, 1, 0], [0, 0, 0]]),
        (Dot(), {"vectors": VECTORS}, [[25, 8, 0], [8, 4, 0], [0, 0, 0]]),
        (Cosine(normalize=False), {"vectors": VECTORS}, [[1, 1, 0], [1, 1, 0], [0, 0, 0]]),
        # Squared distance 3² + 2² = 13.
        (RBF(gamma=0.1), {"vectors": VECTORS}, [[1, 0.27253179, 0], [0.27253179, 1, 0], [0, 0, 0]]),
        (Jaccard(), {"aspects": SETS}, [[1, 1 / 3, 0], [1 / 3, 1, 0], [0, 0, 0]]),
        (Equality("brand"), {"brand": BRANDS}, [[1, 1, 0], [1, 1, 0], [0, 0, 0]]),
        (
            Mixture([3, 1], [Cosine(), Cosine("aspects")]),
            {"vectors": VECTORS, "aspects": SETS},
            [[1, 0.725, 0], [0.725, 1, 0], [0, 0, 0]],  # .75 · .8 + .25 · .5
        ),
        (
            Mixture([1, 1], [Cosine(), Equality("brand")]),
            {"vectors": VECTORS, "brand": BRANDS},
            [[1, 0.9, 0], [0.9, 1, 0], [0, 0, 0]],
        ),
    ],
    ids=str,
)
def test_similarities_by_hand(kernel, features, expected):
    np.testing.assert_allclose(similarities(kernel, **features), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("cosine", Cosine()),
        ("dot", Dot()),
        ("rbf(text)", RBF("text")),
        ("text", Cosine("text")),
        ("jaccard(categories)", Jaccard("categories")),
        (
            "0.5 text, 0.3 image, 0.2 genre",
            Mixture([0.5, 0.3, 0.2], [Cosine("text"), Cosine("image"), Cosine("genre")]),
        ),
        ("2*cosine, equality(brand)", Mixture([2, 1], [Cosine(), Equality("brand")])),
        (RBF(gamma=2), RBF(gamma=2)),
    ],
)
def test_kernels_as_they_are_written(written, expected):
    assert make_kernel(written) == expected


@pytest.mark.parametrize(
    "written", ["", "0.5 text image", "text(", "0.5", "manhattan(text)", "-1 text", None]
)
def test_what_cannot_be_read_is_said(written):
    with pytest.raises(ValueError, match=r"kernel must be"):
        make_kernel(written)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RBF(gamma=0), "gamma must be above 0 and finite; received 0"),
        (lambda: RBF(gamma=np.inf), "gamma must be above 0 and finite; received inf"),
        (lambda: DPP(scale=np.inf), "scale must be at least 0 and finite; received inf"),
        (lambda: DPP(window=2.5), "window must be a whole number of at least 2; received 2.5"),
        (lambda: Mixture([1], ["text"]), r"expected kernels, such as Cosine\('text'\); received \['text'\]"),
        (lambda: Mixture([1.0], []), "received 1 weights, 0 kernels"),
        (lambda: Mixture([0.0], [Cosine()]), "weight must be above 0 and finite; received 0.0"),
        (lambda: SSD(kernel="rbf"), r"product of rows, such as 'cosine'; received RBF\("),
    ],
)
def test_arguments_that_mean_nothing_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "kernel",
    [
        Cosine("text", normalize=False),
        Dot(),
        RBF(gamma=0.3),
        Jaccard("tags"),
        Equality(),
        Mixture([1, 2], [Dot(), RBF()]),
    ],
    ids=str,
)
def test_a_kernel_is_saved_with_its_layer(kernel):
    layer = keras.layers.deserialize(keras.layers.serialize(MMR(kernel=kernel)))
    assert layer.kernel == kernel
    assert layer.features == kernel.features


def test_equal_brands_are_kept_apart():
    scores = [0.9, 0.8, 0.7, 0.6]
    picks = diversify(scores, k=4, diversity=0.6, kernel="equality(brand)", features={"brand": [1, 1, 2, -1]})
    assert picks.tolist() == [0, 2, 3, 1]  # the one without a brand is like none


def test_a_kernel_asks_for_its_features():
    with pytest.raises(ValueError, match=r"MMR needs inputs\['image'\]"):
        MMR(kernel="0.5 text, 0.5 image")({"scores": [[1.0]], "text": [[[1.0]]]})


@pytest.mark.parametrize("kernel", ["0.5 cosine, 0.5 brand", "0.5 cosine, 0.5 equality(brand)"])
@pytest.mark.parametrize("method", ["mmr", "msd", "dpp", "cover"])
def test_a_feature_of_codes_alone_is_compared_by_equality(method, kernel):
    rng = np.random.default_rng(0)
    arguments = {"features": {"brand": rng.integers(0, 3, 12)}, "k": 6, "diversity": 0.5, "method": method}
    scores, vectors = rng.normal(size=12), rng.normal(size=(12, 4))
    expected = diversify(scores, vectors, kernel=Mixture([1, 1], [Cosine(), Equality("brand")]), **arguments)
    assert diversify(scores, vectors, kernel=kernel, **arguments).tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        ("jaccard(brand)", r"Jaccard\(feature='brand'\) reads rows.*'equality\(brand\)'"),
        ("rbf(brand)", r"RBF\(feature='brand', gamma=1.0\) reads rows"),
        (
            "equality(vectors)",
            r"Equality\(feature='vectors'\) reads codes.*received rows.*'cosine\(vectors\)'",
        ),
    ],
)
def test_a_kernel_for_another_kind_of_feature_is_named(kernel, message):
    feature = {"brand": np.array([[1, 2]])} if "brand" in kernel else {"vectors": np.ones((1, 2, 1))}
    with pytest.raises(ValueError, match=message):
        MMR(kernel=kernel)({"scores": np.array([[1.0, 2.0]]), **feature})


def test_sliding_spectra_are_of_rows():
    inputs = {"scores": [[1.0, 2.0]], "brand": np.array([[1, 2]])}
    with pytest.raises(ValueError, match=r"SSD: kernel must be a product of rows; Cosine\(feature='brand'"):
        SSD(kernel="brand")(inputs)


def test_codes_of_more_than_32_bits_are_refused():
    inputs = {"scores": [[1.0, 2.0]], "brand": np.array([[1, 2**32 + 1]])}
    with pytest.raises(
        ValueError, match=r"inputs\['brand'\] must be codes within 32 bits.*received 4294967297"
    ):
        MMR(kernel="brand")(inputs)


def test_codes_must_be_whole_numbers():
    with pytest.raises(
        ValueError, match=r"inputs\['brand'\] of two axes must hold whole numbers.*received float"
    ):
        MMR(kernel="equality(brand)")({"scores": [[1.0]], "brand": np.array([[1.5]])})


@pytest.mark.parametrize("kernel", ["rbf", "0.5 cosine, 0.5 equality(brand)", "dot", "jaccard(tags)"])
@pytest.mark.parametrize("window", [None, 3])
def test_determinants_of_any_kernel_by_brute_force(kernel, window):
    """Each pick maximises the determinant of the kernel of the items in sight, in float64."""
    for seed in range(12):
        rng = np.random.default_rng(seed)
        features = {
            "vectors": rng.normal(size=(14, 5)),
            "brand": rng.integers(0, 9, 14),
            "tags": (rng.random((14, 8)) < 0.5) * 1.0 + np.eye(14, 8),
        }
        scores = rng.normal(size=14)
        weights = np.exp(0.5 * (scores - scores.mean()) / scores.std())
        unit = features["vectors"] / np.linalg.norm(features["vectors"], axis=1, keepdims=True)
        squares = ((features["vectors"][:, None] - features["vectors"]) ** 2).sum(-1)
        tags = features["tags"] > 0
        matrix = {
            "rbf": np.exp(-squares),
            "dot": features["vectors"] @ features["vectors"].T,
            "jaccard(tags)": (tags[:, None] & tags).sum(-1) / (tags[:, None] | tags).sum(-1),
        }.get(kernel, 0.5 * unit @ unit.T + 0.5 * (features["brand"][:, None] == features["brand"]))
        likelihood = weights[:, None] * matrix * weights
        expected: list[int] = []
        for _ in range(5):
            seen = expected if window is None else expected[-(window - 1) :]
            rest = [n for n in range(14) if n not in expected]
            expected.append(
                max(rest, key=lambda n: np.linalg.det(likelihood[np.ix_([*seen, n], [*seen, n])]))
            )
        used = {key: value for key, value in features.items() if key != "vectors"}
        got = diversify(
            scores,
            features["vectors"],
            5,
            0.5,
            "dpp",
            kernel=kernel,
            window=window,
            features={key: value for key, value in used.items() if key in kernel},
        )
        assert got.tolist() == expected


def test_a_window_forgets_what_left_it():
    vectors = np.array([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]])
    inputs = {"scores": [[0.9, 0.7, 0.2, 0.8]], "vectors": vectors}
    assert DPP(k=3, diversity=0.5)(inputs).numpy().tolist() == [[0, 1, 2]]
    # With two items in sight the copy of the first is as new as the third after the second.
    assert DPP(k=3, diversity=0.5, window=2)(inputs).numpy().tolist() == [[0, 1, 3]]

"""System E: sparse interests, by deep matrix factorisation and what BERT makes of the behaviour.

    python examples/system_e_sparse_interests.py --text minilm

f_ui = u . v: u of the user's row of the matrix through an MLP, v of the item's column. The hybrid concatenates BERT's
vector of what the user did to u, BERT's vector of the item to v, and multiplies. Half of the users have five
interactions only: precision, recall and F1 are theirs. Ratings, where there are any, are predicted as well.
"""

from __future__ import annotations

import argparse

import numpy as np

import tfrec_div as td
from tfrec_div._keras import keras
from tfrec_div.models.rating_model import has_ratings

METRICS = ("precision@10", "recall@10", "f1@10", "ndcg@10", "ild_categories@10")


def main(arguments: list[str] | None = None) -> dict[str, dict]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="dataset folder (default: the synthetic shop)")
    parser.add_argument("--text", default="tiny", help="minilm, tiny, or the folder of a BERT checkpoint")
    parser.add_argument(
        "--loss", default="softmax", help="softmax, squared, or cross_entropy (of the cosine)"
    )
    parser.add_argument("--epochs", type=int, default=5)
    options = parser.parse_args(arguments)

    data = td.load_folder(options.data) if options.data else td.make_synthetic(150, 100, 15, images=False)
    train, test = data.split("sparse_users")
    results = {}
    for name, text in (("deep MF", None), ("with BERT", options.text)):
        keras.utils.set_random_seed(0)
        model = td.DeepMF(train.schema, loss=options.loss, text=text)
        model.compile()
        model.fit(train.batches(256), epochs=options.epochs, verbose=0)
        recommender = model.recommender(train)
        results[name] = td.evaluate(recommender, test, k=10).summary["recommender"]
        # Nobody has met this user, so all there is to go by is the empty row.
        page = recommender.recommend(["somebody new"], k=3)
        print(f"{name}, to somebody new:", ", ".join(page.item_ids[0]))

    print(f"{'':10}" + "".join(f"{metric:>18}" for metric in METRICS))
    for name, result in results.items():
        print(f"{name:10}" + "".join(f"{result[metric]['mean']:18.4f}" for metric in METRICS))
    if has_ratings(train.interactions) and has_ratings(test.interactions):
        rater, held_out = td.RatingModel(train.schema), test.interactions
        rater.fit(train, verbose=0)
        error = rater.ratings(held_out.user, held_out.item) - held_out.rating
        print(f"ratings: root mean squared error {np.sqrt(np.nanmean(error**2)):.3f}")
    return results


if __name__ == "__main__":
    main()

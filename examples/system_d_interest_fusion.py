"""System D: interests in several dimensions, each read by its own encoder, fused by attention that can be read.

    python examples/system_d_interest_fusion.py --text minilm

z = [a_1 p_1, ..., a_n p_n]: interests p in content, sentiment, recency, categories, price, brand and what others take,
weighed by attention a; training maximises the sum of log P(y | z). The fusion is compared with its best dimension.
"""

from __future__ import annotations

import argparse

import tfrec_div as td
from tfrec_div._keras import keras


def main(arguments: list[str] | None = None) -> dict[str, float]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="dataset folder (default: the synthetic shop)")
    parser.add_argument("--text", default="tiny", help="minilm, tiny, or the folder of a BERT checkpoint")
    parser.add_argument("--image", help="resnet50, to read pictures as well")
    parser.add_argument("--alone", nargs="*", default=["content", "brand", "collaborative"])
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args(arguments)

    data = td.load_folder(options.data) if options.data else td.make_synthetic(200, 100, 20, images=False)
    train, test = data.split("temporal")
    found = {}
    for name, dimensions in {**{name: [name] for name in options.alone}, "fusion": None}.items():
        keras.utils.set_random_seed(0)
        model = td.InterestFusion(train.schema, dimensions, text=options.text, image=options.image)
        model.compile()
        model.fit(train.batches(256), epochs=options.epochs, verbose=0)
        result = td.evaluate(model.recommender(train), test, k=10)
        found[name] = result.summary["recommender"]["ndcg@10"]["mean"]
        print(f"{name:16} NDCG@10 {found[name]:.4f}")

    # Why: what each dimension counts for with a user, and what it adds to the best item's score.
    names, weights = model.dimension_weights(train, range(3))
    for user, row in zip(train.users.ids[:3], weights, strict=True):
        print(f"weights of user {user}:", ", ".join(f"{n} {w:.2f}" for n, w in zip(names, row, strict=True)))
    best = model.retrieve(model.query_of(train, [0]), k=1)[0].numpy()[0]
    _, parts = model.contributions(train, [0], best)
    told = ", ".join(f"{n} {p:+.2f}" for n, p in zip(names, parts[0, 0], strict=True))
    print(f"{train.catalog.titles()[best[0]]}: {told}")
    return found


if __name__ == "__main__":
    main()

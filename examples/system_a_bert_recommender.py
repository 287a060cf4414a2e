"""System A: behaviour and items both read by BERT, and how much BERT changes the diversity of what is recommended.

    python examples/system_a_bert_recommender.py --text minilm

i = BERT(text of an item), u = the texts of what a user did, each read by BERT, pooled; s = u . i, r = softmax(s) over
the items. Beside it the same towers are trained on ids, to compare their relevance and diversity.
"""

from __future__ import annotations

import argparse

import tfrec_div as td
from tfrec_div._keras import keras, tf

METRICS = ("precision@10", "recall@10", "f1@10", "ndcg@10", "ild_categories@10", "novelty@10")


def main(arguments: list[str] | None = None) -> dict[str, dict]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="dataset folder (default: the synthetic shop)")
    parser.add_argument("--text", default="tiny", help="minilm, tiny, or the folder of a BERT checkpoint")
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args(arguments)

    data = td.load_folder(options.data) if options.data else td.make_synthetic(150, 100, 15, images=False)
    train, test = data.split("temporal")
    results = {}
    for name, features, text in (("BERT", ["history"], options.text), ("ids", ["id", "history"], None)):
        keras.utils.set_random_seed(0)
        model = td.TwoTower(train.schema, features, text=text, embedding_dim=32)
        model.compile()
        model.fit(train.batches(256), epochs=options.epochs, verbose=0)
        results[name] = td.evaluate(model.recommender(train), test, k=10)
        if name == "BERT":
            # r: the probability of each item, by the user's vector and the items'.
            query = model.query_vectors(model.query_of(train, [0]))
            r = tf.nn.softmax(tf.matmul(query, model.item_vectors(), transpose_b=True))
            print("most probable for the first user:", train.catalog.titles()[int(tf.argmax(r[0]))])

    print(f"{'':14}" + "".join(f"{metric:>20}" for metric in METRICS))
    for name, result in results.items():
        print(f"{name:14}" + "".join(f"{result.summary['recommender'][m]['mean']:20.4f}" for m in METRICS))
    return {name: result.summary["recommender"] for name, result in results.items()}


if __name__ == "__main__":
    main()

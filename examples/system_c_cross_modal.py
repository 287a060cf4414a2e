"""System C: text by BERT and pictures by ResNet50, each projected to 1,024 units, fused, and made diverse.

    python examples/system_c_cross_modal.py --fusion attention

Text and picture vectors pass a layer of 1,024 units with ReLU each and are concatenated ("projected"), or attend each
other ("cross_modal"), or are weighed by attention or gates. The last lines tell what each modality counts for, and how
the pages change when they are made diverse.
"""

from __future__ import annotations

import argparse

import tfrec_div as td
from tfrec_div._keras import keras, tf


def main(arguments: list[str] | None = None) -> dict[str, dict]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="dataset folder (default: the synthetic shop)")
    parser.add_argument("--text", default="tiny", help="minilm, tiny, or the folder of a BERT checkpoint")
    parser.add_argument("--image", help="imagenet, or a weights file (default: random weights)")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--fusion", default="projected", help="projected, attention, cross_modal, gated, ...")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--diversity", type=float, default=0.3)
    options = parser.parse_args(arguments)

    keras.utils.set_random_seed(0)
    data = td.load_folder(options.data) if options.data else td.make_synthetic(100, 80, 12, image_size=32)
    train, test = data.split("temporal")
    model = td.TwoTower(
        train.schema,
        features=["history"],
        text=options.text,
        image=td.ImageEncoder(options.image_size, weights=options.image),
        fusion=options.fusion,
        embedding_dim=32,
    )
    model.compile()
    model.fit(train.batches(256), epochs=options.epochs, verbose=2)

    # The score of a pair is a product; a sigmoid makes it a probability.
    pair = {**model.query_of(train, [0]), "item_id": tf.constant([0])}
    print(f"p(first user, first item) = {float(tf.sigmoid(model(pair))[0]):.3f}")
    names, weights = model.fusion_weights(range(len(train.catalog)))
    print("weight of each modality:", dict(zip(names, weights.mean(axis=0).round(3).tolist(), strict=True)))
    reranker = td.rerank.MMR(k=10, diversity=options.diversity)
    result = td.evaluate(model.recommender(train, reranker=reranker), test)
    print(result)
    return result.summary


if __name__ == "__main__":
    main()

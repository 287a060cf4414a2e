"""System B: behaviour (viewed, saved, bought) encoded by BERT or an MLP and decoded to a probability of every item.

    python examples/system_b_encoder_decoder.py --encoder bert --mode masked --export saved_models/system_b

h = Encoder(x), p(y | x) = softmax(MLP(h)), trained by log loss (or binary cross entropy); the list is what is most
probable and new to the user, made diverse, and the whole is one SavedModel.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import tfrec_div as td
from tfrec_div._keras import keras, tf
from tfrec_div.rerank import MMR


def main(arguments: list[str] | None = None) -> dict[str, dict]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="dataset folder (default: the synthetic shop)")
    parser.add_argument("--encoder", default="bert", choices=("bert", "mlp"))
    parser.add_argument("--mode", choices=("next", "masked"), help="masked: as in BERT4Rec")
    parser.add_argument("--loss", default="softmax", choices=("softmax", "binary"))
    parser.add_argument(
        "--text", help="minilm, tiny, or the folder of a BERT checkpoint: tokens know their titles"
    )
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--export", type=Path, help="folder of the SavedModel")
    options = parser.parse_args(arguments)

    data = td.load_folder(options.data) if options.data else td.make_synthetic(200, 100, 20, images=False)
    train, test = data.split("temporal")
    keras.utils.set_random_seed(0)
    how = {"encoder": options.encoder, "mode": options.mode, "loss": options.loss, "text": options.text}
    model = td.EncoderDecoder(train.schema, **how, embedding_dim=32, max_history=20)
    model.compile()
    model.fit(train.batches(256), epochs=options.epochs, verbose=0)

    # p(y | x) of the first user, over all items that are new to her.
    query = model.query_of(train, [0])
    p = model.probabilities(query, exclude=query["history"])
    best = tf.argsort(p[0], direction="DESCENDING")[:3].numpy()
    told = ", ".join(f"{train.catalog.titles()[item]} {p[0, item]:.3f}" for item in best)
    print(f"{float(tf.reduce_sum(p)):.3f} in all; {told}")

    recommender = model.recommender(train, reranker=MMR(k=10, diversity=0.3))
    print("page:", ", ".join(recommender.recommend([train.users.ids[0]]).item_ids[0]))
    results = td.evaluate(recommender, test, k=10).summary
    for name in ("recommender", "popularity"):
        print(f"{name:12} ndcg@10 {results[name]['ndcg@10']['mean']:.4f}")
    if options.export:
        print("exported to", td.export(recommender, options.export))
    return results


if __name__ == "__main__":
    main()

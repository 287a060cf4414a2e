"""What metrics mean, in words for people who have not met them."""

from __future__ import annotations

from dataclasses import dataclass, replace

FAMILIES = ("Relevance", "Diversity", "Novelty", "Fairness and reach", "Other")


@dataclass(frozen=True)
class MetricNote:
    """How to read a metric.

    Args:
        label: Its name for people.
        family: One of `FAMILIES`.
        meaning: One or two plain sentences; empty when nothing is known about it.
        better: 1 when more is better, -1 when less is, 0 when it depends.
    """

    label: str
    family: str
    meaning: str
    better: int


_RELEVANCE, _DIVERSITY, _NOVELTY, _REACH, _OTHER = FAMILIES

_NOTES = {
    "ndcg": MetricNote(
        "NDCG",
        _RELEVANCE,
        "How well the list is ordered: items that the user later chose count more the higher they stand. "
        "1 is a perfect list, 0 one without a hit.",
        1,
    ),
    "precision": MetricNote("Precision", _RELEVANCE, "The share of the list that the user later chose.", 1),
    "recall": MetricNote(
        "Recall", _RELEVANCE, "The share of what the user later chose that the list contains.", 1
    ),
    "f1": MetricNote("F1", _RELEVANCE, "Precision and recall in one number, their harmonic mean.", 1),
    "hit_rate": MetricNote(
        "Hit rate", _RELEVANCE, "The share of users with at least one hit in the list.", 1
    ),
    "mrr": MetricNote(
        "Reciprocal rank",
        _RELEVANCE,
        "One divided by the place of the first hit: 1 at the top, 0.5 below.",
        1,
    ),
    "map": MetricNote(
        "Average precision", _RELEVANCE, "Precision at the place of each hit, averaged over all hits.", 1
    ),
    "ild": MetricNote(
        "Variety within a list",
        _DIVERSITY,
        "How different the items of one list are from each other, measured on their content (text, picture, "
        "categories). 0: all the same; 1: nothing in common.",
        1,
    ),
    "ild_categories": MetricNote(
        "Variety of categories",
        _DIVERSITY,
        "How different the items of one list are from each other, measured on their categories alone.",
        1,
    ),
    "category_entropy": MetricNote(
        "Category entropy",
        _DIVERSITY,
        "How evenly a list is spread over categories. 0: one category only.",
        1,
    ),
    "categories": MetricNote("Categories in a list", _DIVERSITY, "How many categories a list shows.", 1),
    "alpha_ndcg": MetricNote(
        "\N{GREEK SMALL LETTER ALPHA}-NDCG",
        _DIVERSITY,
        "Relevance that gets less for every repetition: a second hit of the same category counts half.",
        1,
    ),
    "subtopic_recall": MetricNote(
        "Subtopic recall",
        _DIVERSITY,
        "The share of the categories of what the user later chose that the list has a hit for.",
        1,
    ),
    "vendi": MetricNote(
        "Vendi score",
        _DIVERSITY,
        "How many really different items a list holds. 1: all the same; the length of the list: no two alike.",
        1,
    ),
    "personalization": MetricNote(
        "Personalization",
        _DIVERSITY,
        "How different the lists of two users are. 0: everybody gets the same.",
        1,
    ),
    "overlap": MetricNote("Overlap", _DIVERSITY, "How many items the lists of two users share.", -1),
    "novelty": MetricNote(
        "Novelty",
        _NOVELTY,
        "How little known the recommended items are, in bits: one more means that half as many users "
        "know them.",
        1,
    ),
    "popularity": MetricNote(
        "Popularity",
        _NOVELTY,
        "How often the recommended items were used before. High: well-known items only.",
        0,
    ),
    "aplt": MetricNote(
        "Long tail",
        _NOVELTY,
        "The share of the list that is not among the few items that most people use.",
        0,
    ),
    "serendipity": MetricNote(
        "Serendipity", _NOVELTY, "Hits that a list of popular items would not have had.", 1
    ),
    "unexpectedness": MetricNote(
        "Unexpectedness", _NOVELTY, "How far the items are from what the user chose before.", 1
    ),
    "coverage": MetricNote(
        "Coverage", _REACH, "The share of the catalogue that is recommended to anybody at all.", 1
    ),
    "gini": MetricNote(
        "Gini",
        _REACH,
        "How unevenly recommendations are spread over the items. 0: all equally often; 1: always the same "
        "few.",
        -1,
    ),
    "exposure_gini": MetricNote(
        "Gini of exposure",
        _REACH,
        "How unevenly attention is spread over the items, when what stands at the top of a list is seen more. "
        "0: all alike; 1: always the same few.",
        -1,
    ),
    "shannon_entropy": MetricNote(
        "Entropy of exposure",
        _REACH,
        "How evenly recommendations are spread over the items. More is more even.",
        1,
    ),
    "calibration": MetricNote(
        "Miscalibration",
        _OTHER,
        "How far the mix of categories in a list is from that in the user's history. 0: the same mix.",
        -1,
    ),
    "pool_recall": MetricNote(
        "Recall of the candidates",
        _OTHER,
        "The share of what the user later chose that is among the candidates: what is missed here cannot come back.",
        1,
    ),
    "auc": MetricNote(
        "AUC",
        _OTHER,
        "How often a candidate that a user later chose scores above one that no user did. 0.5 is chance.",
        1,
    ),
    "gauc": MetricNote(
        "GAUC", _OTHER, "AUC within the candidates of one user, averaged over users. 0.5 is chance.", 1
    ),
    "pool_ndcg": MetricNote(
        "NDCG of the candidates",
        _OTHER,
        "How well all candidates of a user are ordered, whatever the length of a page. 1: the best order.",
        1,
    ),
    "log_loss": MetricNote(
        "Log loss",
        _OTHER,
        "How far the foreseen probabilities are from what came; certainty that fails costs the most.",
        -1,
    ),
    "ece": MetricNote(
        "Calibration error",
        _OTHER,
        "How far probabilities are from shares: of what is foreseen with 30 %, 30 % should come true.",
        -1,
    ),
    "rmse": MetricNote("RMSE", _OTHER, "The typical error of a predicted rating.", -1),
    "mae": MetricNote("MAE", _OTHER, "The mean error of a predicted rating.", -1),
}

_ALIASES = {
    "ild": (
        "ild_vectors",
        "intra_list_distance",
        "intra_list_diversity",
        "ild_cosine",
        "diversity",
        "list_diversity",
    ),
    "mrr": ("reciprocal_rank",),
    "map": ("average_precision", "mean_average_precision"),
    "hit_rate": ("hr", "hit", "hits", "hitrate", "hit_ratio"),
    "coverage": ("catalog_coverage", "item_coverage", "catalogue_coverage"),
    "gini": ("gini_index", "item_gini"),
    "overlap": ("average_overlap",),
    "calibration": ("miscalibration", "kl", "calibration_kl", "calibration_kl_divergence"),
    "shannon_entropy": ("entropy",),
    "category_entropy": ("genre_entropy",),
    "categories": (
        "category_count",
        "num_categories",
        "distinct_categories",
        "category_coverage",
    ),
    "vendi": ("vendi_score",),
    "subtopic_recall": ("s_recall", "strec"),
    "novelty": ("miuf", "self_information"),
    "aplt": ("long_tail_share", "tail_percentage"),
    "popularity": ("mean_popularity", "arp", "average_popularity"),
}
_NAMES = {alias: name for name, aliases in _ALIASES.items() for alias in aliases} | {
    name: name for name in _NOTES
}


def metric_note(name: str) -> MetricNote:
    """Looks up what a metric means.

    Args:
        name: As in an evaluation, such as `ndcg@10`; case, `-` and `_` do not matter.

    Returns:
        The note, with `@10` kept in the label. An unknown metric gets its name for a label and no meaning.

    Example:
        >>> metric_note("Hit_Rate@20").label
        'Hit rate @20'
    """
    base, at, cutoff = name.partition("@")
    key = base.strip().lower().replace("-", "_").replace(" ", "_")
    rest = ""
    if key not in _NAMES:  # such as 'novelty_mean'
        known = max((known for known in _NAMES if key.startswith(known + "_")), key=len, default=None)
        if known:
            key, rest = known, f" ({key[len(known) + 1 :].replace('_', ' ')})"
    note = (
        _NOTES[_NAMES[key]]
        if key in _NAMES
        else MetricNote(base.replace("_", " ").strip() or name, _OTHER, "", 0)
    )
    return replace(note, label=f"{note.label}{rest} {at}{cutoff}".rstrip())


def metric_key(name: str) -> str:
    """Returns the one name that all spellings of a metric share.

    Args:
        name: As in an evaluation.

    Returns:
        Such as `ild` for `intra_list_distance@10`; the name itself when it is not known.
    """
    label = metric_note(name).label.partition(" @")[0].partition(" (")[0]
    return next((key for key, note in _NOTES.items() if note.label == label), name)

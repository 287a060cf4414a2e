"""The findings of a run in plain sentences."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tfrec_div.study.charts import format_number, shorten
from tfrec_div.study.glossary import metric_key, metric_note

_BASELINES = ("popular", "random", "knn", "neighbo", "ease", "als", "bpr", "baseline")
_PLAIN = re.compile(
    r"plain|relevance|without|no re-?rank|not divers|undivers|^ranking$|retriev|diversity ?=? ?0(\.0+)?$"
)
_RELEVANCE = ("ndcg", "recall", "hit_rate", "mrr", "map", "precision", "f1")
_DIVERSITY = (
    "ild",
    "ild_categories",
    "category_entropy",
    "categories",
    "alpha_ndcg",
    "coverage",
    "personalization",
)

Interval = Mapping[str, float]
Evaluation = Mapping[str, Mapping[str, Interval]]
Page = Sequence[tuple[str, Sequence[str]]]  # item ids with categories


@dataclass(frozen=True)
class Roles:
    """Which of the evaluated systems is which.

    Args:
        main: The system that the run is about.
        plain: The same without diversifying.
        popularity: The most popular items for everybody.
    """

    main: str | None
    plain: str | None
    popularity: str | None


def find_roles(evaluation: Evaluation, main: str | None = None, plain: str | None = None) -> Roles:
    """Tells the systems apart by their names.

    Args:
        evaluation: By system and metric.
        main: The system that the run is about, if it is known.
        plain: The same without diversifying, if it is known.

    Returns:
        The names, each `None` when there is no such system.

    Example:
        >>> find_roles({"two tower": {}, "two tower, plain": {}, "popularity": {}})
        Roles(main='two tower', plain='two tower, plain', popularity='popularity')
    """
    simple = {name: name.lower().replace("_", " ") for name in evaluation}
    own = [name for name, said in simple.items() if not any(word in said for word in _BASELINES)]
    plains = [name for name in own if _PLAIN.search(simple[name])]
    main = main or next((name for name in own if name not in plains), own[0] if own else None)
    return Roles(
        main=main if main in evaluation else None,
        plain=plain if plain in evaluation else next((name for name in plains if name != main), None),
        popularity=next((name for name, said in simple.items() if "popular" in said), None),
    )


def first_metric(evaluation: Evaluation, system: str | None, kind: str) -> str | None:
    """Finds the metric that a finding is told with.

    Args:
        evaluation: By system and metric.
        system: The system that must have it.
        kind: `"relevance"` or `"diversity"`.

    Returns:
        The name of the metric, or `None`.
    """
    if system is None:
        return None
    for wanted in _RELEVANCE if kind == "relevance" else _DIVERSITY:
        for name in evaluation[system]:
            if metric_key(name) == wanted:
                return name
    return None


def headline(
    data: Mapping[str, object],
    evaluation: Evaluation,
    roles: Roles,
    model: str,
    swaps: tuple[float, float, float] | None,
) -> list[str]:
    """Says what was trained on what, how it compares with popularity and what diversifying did.

    Args:
        data: `Dataset.summary()`.
        evaluation: By system and metric.
        roles: Which system is which.
        model: What to call the model.
        swaps: Of the examples: mean share of items that diversifying exchanged, mean number of categories
            before and after. `None` without examples.

    Returns:
        Sentences.
    """
    sentences = [_trained(data, model)]
    relevance = first_metric(evaluation, roles.main, "relevance")
    if roles.main and relevance and roles.popularity and relevance in evaluation[roles.popularity]:
        own, popular = evaluation[roles.main], evaluation[roles.popularity]
        sentences.append(_against(own[relevance], popular[relevance], relevance))
    variety = first_metric(evaluation, roles.main, "diversity")
    if roles.main and roles.plain and relevance and variety:
        own, plain = evaluation[roles.main], evaluation[roles.plain]
        if relevance in plain and variety in plain:
            sentences.append(_diversified(own, plain, relevance, variety))
    elif swaps:
        sentences.append(_swapped(*swaps))
    return sentences


def _trained(data: Mapping[str, object], model: str) -> str:
    counts = [data.get(name) for name in ("interactions", "users", "items")]
    if not all(isinstance(count, int) for count in counts):
        return f"{model} was trained."
    return "{} learned from {:,} interactions of {:,} users with {:,} items.".format(model, *counts)


def _against(own: Interval, popular: Interval, metric: str) -> str:
    label = metric_note(metric).label
    numbers = f"{label} {format_number(own['mean'])} against {format_number(popular['mean'])}"
    if own["low"] > popular["high"]:
        times = own["mean"] / popular["mean"] if popular["mean"] > 0 else 0
        much = f"{times:.1f} times as well as" if times >= 1.15 else "better than"
        return f"It finds what users go on to choose {much} a list of popular items does ({numbers})."
    if own["high"] < popular["low"]:
        return (
            f"It does worse than a list of popular items ({numbers}): train it longer or change the settings."
        )
    return f"It is not clearly better or worse than a list of popular items ({numbers}; intervals overlap)."


def _diversified(
    own: Mapping[str, Interval], plain: Mapping[str, Interval], relevance: str, variety: str
) -> str:
    label = metric_note(variety).label.partition(" @")[0]
    name = label if label[:2].isupper() else label[0].lower() + label[1:]
    gain, cost = (_change(own[metric]["mean"], plain[metric]["mean"]) for metric in (variety, relevance))
    numbers = f"{format_number(plain[variety]['mean'])} → {format_number(own[variety]['mean'])}"
    if abs(gain) < 0.002:
        return f"Diversifying left {name} as it was ({numbers})."
    did = f"Diversifying {'raised' if gain > 0 else 'lowered'} {name} by {abs(gain):.0%} ({numbers})"
    effect = metric_note(relevance).label
    if abs(cost) < 0.005:
        return f"{did} at no cost in {effect}."
    if cost > 0:
        return f"{did}, and {effect} rose by {cost:.1%} as well."
    return f"{did} and cost {-cost:.1%} of {effect}."


def _swapped(exchanged: float, before: float, after: float) -> str:
    if exchanged == 0:
        return "In the examples below, diversifying changed nothing."
    return (
        f"In the examples below, diversifying exchanged {exchanged:.0%} of the items; a list shows "
        f"{format_number(after)} categories instead of {format_number(before)}."
    )


def _change(new: float, old: float) -> float:
    return (new - old) / abs(old) if old else 0.0


def model_name(settings: Mapping[str, object]) -> str:
    """Names the model of a run from its settings, to begin a sentence with.

    Args:
        settings: The configuration; `model` is looked up.

    Returns:
        Such as 'A two-tower model'.
    """
    name = shorten(str(settings.get("model") or "recommender").replace("_", "-"), 40)
    article = "An" if name[:1].lower() in "aeiou" else "A"
    return f"{article} {name}" if name.endswith(("model", "recommender")) else f"{article} {name} model"


def swaps_of(before: Sequence[Page], after: Sequence[Page]) -> tuple[float, float, float] | None:
    """Sums up what diversifying changed in examples.

    Args:
        before: Lists of (item id, categories), one list per user.
        after: The same after diversifying.

    Returns:
        Mean share of exchanged items, mean numbers of categories before and after; `None` without lists.
    """
    pairs = [(plain, diverse) for plain, diverse in zip(before, after, strict=True) if plain and diverse]
    if not pairs:
        return None
    exchanged = [len({i for i, _ in new} - {i for i, _ in old}) / len(new) for old, new in pairs]
    counts = [[len({c for _, names in page for c in names}) for page in pair] for pair in pairs]
    return (
        sum(exchanged) / len(pairs),
        sum(old for old, _ in counts) / len(pairs),
        sum(new for _, new in counts) / len(pairs),
    )

"""Makes a dataset of data frames."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import pandas as pd

from tfrec_div.data.assemble import assemble, check_on_error, check_tables
from tfrec_div.data.checks import REQUIRED
from tfrec_div.data.dataset import Dataset
from tfrec_div.data.errors import DataError, Problem
from tfrec_div.data.folder import picture_columns
from tfrec_div.data.settings import IDS, parse_settings
from tfrec_div.data.tables import table_from_frame


def from_frames(
    interactions: pd.DataFrame,
    items: pd.DataFrame | None = None,
    users: pd.DataFrame | None = None,
    impressions: pd.DataFrame | None = None,
    image_root: str | PathLike | None = None,
    on_error: str = "raise",
    *,
    features: Mapping[str, Mapping[str, object]] | None = None,
    rating_scale: tuple[float, float] | None = None,
    event_names: tuple[str, ...] | None = None,
    name: str = "",
    check_images: bool = True,
) -> Dataset:
    """Makes a dataset of data frames with the columns of the files of a dataset folder.

    Ids of any type become strings. An image is a path below `image_root` or encoded `bytes`. Row numbers in
    messages count as in a file, the header being row 1: position 0 of a frame is row 2.

    Args:
        interactions: `user_id`, `item_id` and optionally `rating`, `timestamp`, `event`, `dwell`, `weight`,
            `review`.
        items: `item_id` and features. Without it, the items are those of the interactions.
        users: `user_id` and features.
        impressions: `user_id`, `item_id`, `timestamp`, `position`, `clicked` and optionally `propensity`.
        image_root: The folder that image paths are relative to.
        on_error: `"raise"`, or `"drop"` to leave out rows with errors and count them in `Dataset.dropped`.
        features: Types of further columns as `dataset.yaml` gives them, such as `{"items": {"mood":
            "category"}}`; a `Feature` may stand for a type.
        rating_scale: Lowest and highest rating possible; taken from the ratings when not given.
        event_names: Events that can occur; taken from the events when not given.
        name: What to call the dataset.
        check_images: Whether to decode every picture once.

    Returns:
        The dataset.

    Raises:
        DataError: With all problems.

    Example:
        >>> log = pd.DataFrame({"user_id": [7, 7], "item_id": ["a,b", "c"], "rating": [5, 2]})
        >>> data = from_frames(log)
        >>> data.schema.user_ids, data.schema.item_ids, data.interactions.relevant().sum()
        (('7',), ('a,b', 'c'), np.int64(1))
    """
    check_on_error(on_error)
    declared = {"features": features, "rating_scale": rating_scale, "event_names": event_names, "name": name}
    settings, fatal = parse_settings(declared)
    frames = {"interactions": interactions, "items": items, "users": users, "impressions": impressions}
    tables = {}
    for table, frame in frames.items():
        if frame is None:
            continue
        if not isinstance(frame, pd.DataFrame):
            raise TypeError(f"expected a pandas DataFrame for {table}, got {type(frame).__name__}")
        try:
            pictures = picture_columns(table, settings)
            tables[table] = table_from_frame(frame, table, REQUIRED[table], pictures, coded=table not in IDS)
        except DataError as error:
            fatal += error.problems
    root = None if image_root is None else Path(image_root)
    if root is not None and not root.is_dir():
        fatal.append(Problem("image_root", None, None, "a folder", str(root)))
    checked = check_tables(tables, settings, root, check_images and not fatal)
    if fatal:
        raise DataError([*fatal, *checked.problems])
    return assemble(checked, settings, on_error, name)

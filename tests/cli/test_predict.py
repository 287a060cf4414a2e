"""`predict`, as a user types it."""

from __future__ import annotations

import errno
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from tfrec_div import DataError, load_folder
from tfrec_div.cli import main
from tfrec_div.models.rating_model import RatingModel
from tfrec_div.training.config import TrainConfig
from tfrec_div.training.rating import load_rater, train_rater
from tfrec_div.training.run_directory import RunDirectory

QUICK = [
    "--model",
    "two_tower",
    "--features",
    "id,history",
    "--embedding-dim",
    "8",
    "--epochs",
    "1",
    "--k",
    "5",
]


def write_ratings(folder, ratings):
    """40 users who rate 12 of 30 items each: half of them like the first half of the items, the others the rest."""
    folder.mkdir()
    random = np.random.default_rng(0)
    rows = [
        f"u{u:02d},i{i:02d},{5 - 3 * (u % 2 == (i < 15)) if ratings else ''}"
        for u in range(40)
        for i in random.permutation(30)[:12]
    ]
    header = "user_id,item_id,rating" if ratings else "user_id,item_id,event"
    (folder / "interactions.csv").write_text("\n".join([header, *rows]))
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs")
    data = write_ratings(path / "data", ratings=True)
    assert main(["train", "--data", str(data), "--out", str(path / "run"), *QUICK]) == 0
    return path / "run"


def predict(run, pairs, out):
    return main(["predict", "--run", str(run), "--pairs", str(pairs), "--out", str(out)])


def write_pairs(path, pairs):
    pd.DataFrame(pairs, columns=["user_id", "item_id"]).to_csv(path, index=False)
    return path


def test_pairs_get_ratings_in_their_order(run, tmp_path):
    asked = [("u01", "i20"), ("u01", "i03"), ("u02", "i20"), ("u02", "i03"), ("u01", "i20")]
    assert predict(run, write_pairs(tmp_path / "pairs.csv", asked), tmp_path / "out.csv") == 0
    found = pd.read_csv(tmp_path / "out.csv", dtype={"user_id": str, "item_id": str})
    assert list(found) == ["user_id", "item_id", "prediction"]
    assert list(zip(found["user_id"], found["item_id"], strict=True)) == asked
    liked = found["prediction"] > 3.5
    # u01 likes the second half, u02 the first.
    assert liked.tolist() == [True, False, False, True, True]
    assert found["prediction"].between(2, 5).all()
    assert found["prediction"][0] == found["prediction"][4]


def test_unknown_ids_are_predicted_and_counted(run, tmp_path, capsys):
    asked = [("u01", "i20"), ("nobody", "i03"), ("nobody", "nothing"), ("u03", "nothing")]
    assert predict(run, write_pairs(tmp_path / "pairs.csv", asked), tmp_path / "out.csv") == 0
    assert pd.read_csv(tmp_path / "out.csv")["prediction"].between(2, 5).all()
    printed = capsys.readouterr().out
    assert "1 of 3 users are unknown" in printed
    assert "1 of 3 items are unknown" in printed
    assert "4 predictions: " in printed


def test_no_pairs_give_no_predictions(run, tmp_path):
    assert predict(run, write_pairs(tmp_path / "pairs.csv", []), tmp_path / "out.csv") == 0
    assert (tmp_path / "out.csv").read_text().strip() == "user_id,item_id,prediction"


def test_training_says_how_well_ratings_are_predicted(tmp_path, capsys):
    data = write_ratings(tmp_path / "data", ratings=True)
    assert main(["train", "--data", str(data), "--out", str(tmp_path / "run"), *QUICK]) == 0
    line = next(
        line for line in capsys.readouterr().out.splitlines() if line.startswith("Ratings are predicted")
    )
    assert line.endswith("in a quarter of the sweeps that the run's model gets.")
    rmse, by_mean = map(
        float, re.search(r"error of (\S+) on the 40 held out \((\S+) by their mean", line).groups()
    )
    # Ratings are 2 or 5, half each: 1.5 from their mean.
    assert by_mean == pytest.approx(1.5, abs=0.1)
    assert rmse < 1.0


def fits(monkeypatch):
    """The sweeps and number of interactions of each fit from now on."""
    found, fit = [], RatingModel.fit

    def counted(self, x, **arguments):
        found.append((self.get_config()["sweeps"], len(x.interactions)))
        return fit(self, x, **arguments)

    monkeypatch.setattr(RatingModel, "fit", counted)
    return found


def test_the_measure_takes_a_quarter_of_the_sweeps(tmp_path, monkeypatch):
    data, found = write_ratings(tmp_path / "data", ratings=True), fits(monkeypatch)
    assert (
        main(["train", "--data", str(data), "--out", str(tmp_path / "run"), "--model", "most_popular"]) == 0
    )
    # 12 of each of 40 users, the last of whom is held out.
    assert found == [(20, 440), (80, 480)]


def test_ratings_can_be_left_out(tmp_path, monkeypatch, capsys):
    data, found = write_ratings(tmp_path / "data", ratings=True), fits(monkeypatch)
    words = ["train", "--data", str(data), "--out", str(tmp_path / "run"), "--model", "most_popular"]
    assert main([*words, "--no-ratings"]) == 0
    assert found == []
    assert "Ratings" not in capsys.readouterr().out
    assert RunDirectory(tmp_path / "run").read_config().ratings is False
    pairs = write_pairs(tmp_path / "pairs.csv", [("u01", "i20")])
    assert predict(tmp_path / "run", pairs, tmp_path / "out.csv") == 2
    assert "expected a run that learned ratings (train --ratings, " in capsys.readouterr().err


@pytest.mark.parametrize(("limit", "most"), [("MOST_RATINGS", 480), ("MOST_ROWS", 70)])
def test_very_many_ratings_are_left_out_unless_asked_for(tmp_path, monkeypatch, limit, most):
    data = load_folder(write_ratings(tmp_path / "data", ratings=True))
    found, said, run = fits(monkeypatch), [], RunDirectory(tmp_path)
    retriever = SimpleNamespace(content_model=None)

    def train(wanted):
        train_rater(run, data, data, None, retriever, say=said.append, verbose=0, wanted=wanted)
        return len(found)

    monkeypatch.setattr(f"tfrec_div.training.rating.{limit}", most - 1)
    assert train(None) == 0
    assert said == [
        "Ratings are left out: learning from 480, of 70 users and items, could take longer than the rest "
        "(--ratings does it all the same)."
    ]
    assert train(False) == 0
    assert train(True) == 1
    run.rater.unlink()
    monkeypatch.setattr(f"tfrec_div.training.rating.{limit}", most)
    assert train(None) == 2
    assert len(said) == 1


def test_the_setting_is_true_false_or_nothing():
    with pytest.raises(DataError, match='ratings: expected true, false or nothing, found "often"'):
        TrainConfig(ratings="often")


def test_a_run_without_ratings_is_refused_with_one_message(tmp_path, capsys):
    data = write_ratings(tmp_path / "data", ratings=False)
    assert main(["train", "--data", str(data), "--out", str(tmp_path / "run"), *QUICK]) == 0
    assert "Ratings" not in capsys.readouterr().out
    assert not (tmp_path / "run" / "rater.keras").exists()
    pairs = write_pairs(tmp_path / "pairs.csv", [("u01", "i20")])
    assert predict(tmp_path / "run", pairs, tmp_path / "out.csv") == 2
    error = capsys.readouterr().err
    assert "expected a run that learned ratings (train --ratings, on data with a column of" in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "out.csv").exists()


def test_files_that_do_not_fit_are_refused(run, tmp_path, capsys, monkeypatch):
    good, bad = write_pairs(tmp_path / "pairs.csv", [("u01", "i20")]), tmp_path / "bad.csv"
    bad.write_text("user_id,item\nu01,i20\n")
    for pairs, folder, out, message in (
        (bad, run, "out.csv", "bad.csv, row 1, column item_id: expected this column"),
        (tmp_path / "none.csv", run, "out.csv", "none.csv: expected a CSV file"),
        (good, tmp_path / "none", "out.csv", 'found "no such folder"'),
        (good, run, "none/out.csv", "--out: expected a file in a folder that exists"),
    ):
        assert predict(folder, pairs, tmp_path / out) == 2
        assert message in capsys.readouterr().err
    before = sorted(tmp_path.iterdir())

    def no_space(_, path, **__):
        path.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(pd.DataFrame, "to_csv", no_space)
    assert predict(run, good, tmp_path / "out.csv") == 1
    assert "No space left on device" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


def test_an_interrupted_training_ends_with_the_same_ratings(run, tmp_path, monkeypatch):
    from tfrec_div.recommender import Recommender

    class Interrupted(Exception):
        pass

    def stop(self, path):
        raise Interrupted

    data = write_ratings(tmp_path / "data", ratings=True)
    words = ["train", "--data", str(data), "--out", str(tmp_path / "run"), *QUICK]
    with monkeypatch.context() as patch:
        patch.setattr("tfrec_div.training.train.train_rater", lambda *_: None)
        patch.setattr(Recommender, "save", stop)
        with pytest.raises(Interrupted):
            main(words)
    assert not (tmp_path / "run" / "rater.keras").exists()
    assert main(words) == 0
    assert not list((tmp_path / "run").glob(".draft*"))
    again, whole = (load_rater(RunDirectory(path)) for path in (tmp_path / "run", run))
    rows = np.arange(30)
    expected = whole.ratings(
        whole.schema.user_rows(["u01"] * 30), whole.schema.item_rows(again.schema.item_ids)
    )
    found = again.ratings(again.schema.user_rows(["u01"] * 30), rows)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    before = RunDirectory(tmp_path / "run").rater.stat().st_mtime_ns
    train_rater(RunDirectory(tmp_path / "run"), None, None, None, None)
    assert RunDirectory(tmp_path / "run").rater.stat().st_mtime_ns == before

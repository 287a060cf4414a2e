"""The command line, as a user types it."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from tfrec_div.cli import build_parser, main

QUICK = [
    "--features",
    "id,history,categories",
    "--embedding-dim",
    "8",
    "--epochs",
    "2",
    "--batch-size",
    "64",
    "--k",
    "5",
]


def tfrec_div(*words):
    return subprocess.run(
        [sys.executable, "-m", "tfrec_div", *map(str, words)], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def folder(shop, tmp_path_factory):
    """The shop as a dataset folder."""
    from tfrec_div.data.write import write_folder

    path = tmp_path_factory.mktemp("data") / "shop"
    write_folder(shop, path)
    return path


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    """A run trained from the folder."""
    path = tmp_path_factory.mktemp("runs") / "run"
    assert main(["train", "--data", str(folder), "--out", str(path), *QUICK]) == 0
    return path


@pytest.fixture
def lists(tmp_path):
    """Writes a CSV file: `lists("users.csv", user_id=["u01"])`."""

    def write(file, /, **columns):
        path = tmp_path / file
        pd.DataFrame(columns).to_csv(path, index=False)
        return path

    return write


def recommend(run, out, users, *words):
    assert (
        main(["recommend", "--run", str(run), "--users", str(users), "--out", str(out), *map(str, words)])
        == 0
    )
    return pd.read_csv(out, dtype={"user_id": str, "item_id": str}, keep_default_na=False)


def test_help_answers_within_a_second():
    for words in (["--help"], ["train", "--help"]):
        fastest = min(_seconds(words) for _ in range(3))
        assert fastest < 1.0


def _seconds(words):
    start = time.perf_counter()
    done = tfrec_div(*words)
    assert done.returncode == 0
    assert "usage: tfrec-div" in done.stdout
    return time.perf_counter() - start


def test_recommendations_are_ranked_lists_of_unseen_items(run, folder, lists, tmp_path):
    log = pd.read_csv(folder / "interactions.csv", dtype=str)
    users = sorted(log.user_id.unique())
    frame = recommend(run, tmp_path / "recs.csv", lists("users.csv", user_id=users), "--k", 4)
    assert list(frame.columns) == ["user_id", "item_id", "rank", "score"]
    assert frame.groupby("user_id")["rank"].agg(list).tolist() == [[1, 2, 3, 4]] * len(users)
    pairs = set(zip(log.user_id, log.item_id, strict=True))
    # What `train` held out for evaluation has been seen as well.
    assert not pairs & set(zip(frame.user_id, frame.item_id, strict=True))


def test_candidates_exclusions_and_seen_items(run, lists, tmp_path):
    users = lists("users.csv", user_id=["u01", "u02"])
    page = recommend(run, tmp_path / "a.csv", users, "--k", 3, "--diversity", 0)
    unwanted = page[["user_id", "item_id"]]
    exclude = lists("exclude.csv", **unwanted.to_dict("list"))
    other = recommend(run, tmp_path / "b.csv", users, "--k", 3, "--diversity", 0, "--exclude", exclude)
    assert not set(map(tuple, unwanted.to_numpy())) & set(
        map(tuple, other[["user_id", "item_id"]].to_numpy())
    )
    candidates = lists("candidates.csv", item_id=["i01", "i02", "i03", "no such item"])
    few = recommend(run, tmp_path / "c.csv", users, "--candidates", candidates, "--include-seen")
    assert set(few.item_id) == {"i01", "i02", "i03"}
    assert len(few) == 6


def test_unknown_users_get_the_list_for_new_users_and_are_counted(run, lists, tmp_path, capsys):
    users = lists("users.csv", user_id=["u01", "nobody", 'odd, "id"\n\u2603'])
    frame = recommend(run, tmp_path / "recs.csv", users, "--k", 3)
    assert "2 of 3 users are unknown" in capsys.readouterr().out
    assert set(frame.user_id) == {"u01", "nobody", 'odd, "id"\n\u2603'}


def test_k_above_the_catalogue_is_as_many_as_there_are(run, lists, tmp_path):
    frame = recommend(run, tmp_path / "recs.csv", lists("users.csv", user_id=["nobody"]), "--k", 10_000)
    assert len(frame) == 50


def test_a_reranker_and_a_level_change_the_list(run, lists, tmp_path):
    users = lists("users.csv", user_id=["u01"])
    lists_of = [
        recommend(run, tmp_path / f"{n}.csv", users, "--k", 15, *words).item_id.tolist()
        for n, words in enumerate(
            (["--reranker", "none"], ["--diversity", 0], ["--reranker", "dpp", "--diversity", 1])
        )
    ]
    assert lists_of[0] == lists_of[1] != lists_of[2]


def test_a_reranker_may_have_options(run, lists, tmp_path):
    from tfrec_div.storage import load_recommender

    users, words = (
        lists("users.csv", user_id=["u01", "u02"]),
        # Categories tell brands apart, mostly: a short page would be the same by either.
        ("--diversity", 1, "--reranker", "mmr", "--k", 8),
    )
    option = ("--reranker-option", "kernel=equality(brand)")
    pages = recommend(run, tmp_path / "brands.csv", users, *words, *option)
    brands = load_recommender(run / "recommender").catalog.columns["brand"]
    found = [brands[int(item.removeprefix("i")) - 1] for item in pages.item_id]
    assert found[0] != found[1]
    plain = recommend(run, tmp_path / "plain.csv", users, *words)
    assert plain.item_id.tolist() != pages.item_id.tolist()


def test_the_command_line_knows_every_reranker():
    from tfrec_div.rerank import METHODS
    from tfrec_div.training.config import RERANKERS

    assert set(RERANKERS) == {*METHODS, "none"}


@pytest.mark.parametrize("word", ["window", "=5", "two words=5", "kernel=[1"])
def test_an_option_that_is_none_is_refused(word, capsys):
    with pytest.raises(SystemExit):
        build_parser().parse_args(
            ["recommend", "--run", "r", "--users", "u", "--out", "o", "--reranker-option", word]
        )
    assert "expected NAME=VALUE, got" in capsys.readouterr().err


def test_evaluate_writes_metrics_beside_baselines(run, capsys):
    assert main(["evaluate", "--run", str(run), "--k", "5"]) == 0
    assert "popularity" in capsys.readouterr().out
    metrics = json.loads((run / "metrics.json").read_text())
    assert "random" in json.dumps(metrics)


def test_evaluate_on_other_data_leaves_out_what_was_trained_on(run, folder, capsys):
    assert main(["evaluate", "--run", str(run), "--data", str(folder)]) == 0
    log = pd.read_csv(folder / "interactions.csv")
    held_out = log.user_id.nunique()
    # Of the run's own data only the held-out last interactions are new to it.
    line = next(line for line in capsys.readouterr().out.splitlines() if "held-out" in line)
    assert int(line.split()[0]) <= held_out


def test_export_writes_a_version(run, tmp_path):
    assert main(["export", "--run", str(run), "--out", str(tmp_path / "models" / "shop")]) == 0
    assert (tmp_path / "models" / "shop" / "1" / "saved_model.pb").is_file()


def test_synth_writes_a_folder_that_validates(tmp_path, capsys):
    assert (
        main(["synth", "--out", str(tmp_path / "shop"), "--users", "20", "--items", "15", "--seed", "4"]) == 0
    )
    assert main(["validate", "--data", str(tmp_path / "shop")]) == 0
    assert "0 errors" in capsys.readouterr().out


@pytest.mark.slow
def test_the_main_job_on_built_in_data(tmp_path):
    done = tfrec_div("run", "--out", tmp_path / "demo", "--epochs", "2")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "demo" / "report.html").is_file()
    assert (tmp_path / "demo" / "saved_model" / "1" / "manifest.json").is_file()
    assert "popularity" in done.stdout


def test_the_main_job_on_a_folder(folder, tmp_path):
    out = tmp_path / "demo"
    assert main(["run", "--data", str(folder), "--out", str(out), *QUICK]) == 0
    page = (out / "report.html").read_text("utf-8")
    assert "data:image/jpeg;base64," in page
    assert (out / "saved_model" / "1" / "saved_model.pb").is_file()
    assert json.loads((out / "metrics.json").read_text())


BAD = {
    "a missing column": (
        {"interactions.csv": "user_id,rating\nu,1\n"},
        "interactions.csv, column item_id: expected this column",
    ),
    "an unknown item": (
        {"interactions.csv": "user_id,item_id\nu,a\nu,b\n", "items.csv": "item_id\na\n"},
        'interactions.csv, row 3, column item_id: expected .*, found "b"',
    ),
    "duplicate item ids": (
        {"interactions.csv": "user_id,item_id\nu,a\n", "items.csv": "item_id,title\na,x\na,y\n"},
        "items.csv, row 3, column item_id",
    ),
    "a rating that is no number": (
        {"interactions.csv": "user_id,item_id,rating\nu,a,4\nu,b,abc\n"},
        'interactions.csv, row 3, column rating: expected a .*number, found "abc"',
    ),
    "an empty file": ({"interactions.csv": ""}, "interactions.csv"),
    "a picture that does not decode": (
        {
            "interactions.csv": "user_id,item_id\nu,a\n",
            "items.csv": "item_id,image\na,p.jpg\n",
            "p.jpg": "no picture",
        },
        "items.csv, row 2, column image",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_with_one_message_and_nothing_written(case, tmp_path, capsys):
    files, message = BAD[case]
    data = tmp_path / "data"
    data.mkdir()
    for name, text in files.items():
        (data / name).write_text(text)
    code = main(["train", "--data", str(data), "--out", str(tmp_path / "run")])
    error = capsys.readouterr().err
    assert code == 2
    assert error.startswith("tfrec-div train: ")
    assert pd.Series([error]).str.contains(message).all(), error
    assert not (tmp_path / "run").exists()


def test_users_that_a_model_cannot_learn_from_are_refused_and_nothing_written(tmp_path, capsys):
    data = tmp_path / "data"
    data.mkdir()
    (data / "interactions.csv").write_text("user_id,item_id\nu,a\nv,b\nw,a\n")
    words = ["--model", "mult_vae", "--test", "none", "--epochs", "1"]
    assert main(["train", "--data", str(data), "--out", str(tmp_path / "run"), *words]) == 2
    error = capsys.readouterr().err
    assert "tfrec-div train: interactions: expected a user with 2 interactions or more" in error
    assert not (tmp_path / "run").exists()


def test_a_folder_or_a_run_that_is_not_there_is_refused(tmp_path, lists, capsys):
    users = lists("users.csv", user_id=["u"])
    missing, empty = tmp_path / "missing", tmp_path / "empty"
    empty.mkdir()
    out = tmp_path / "out.csv"
    for words, message in (
        (["train", "--data", missing, "--out", tmp_path / "r"], "missing: expected a dataset folder"),
        (["recommend", "--run", missing, "--users", users, "--out", out], 'found "no such folder"'),
        (
            ["recommend", "--run", empty, "--users", users, "--out", out],
            "expected the folder of a run, with run.json",
        ),
        (["evaluate", "--run", empty], "expected the folder of a run"),
        (["export", "--run", empty, "--out", tmp_path / "m"], "expected the folder of a run"),
    ):
        assert main(list(map(str, words))) == 2
        assert message in capsys.readouterr().err
    assert not out.exists()
    assert not (tmp_path / "m").exists()


def test_lists_that_do_not_fit_are_refused(run, lists, tmp_path, capsys):
    good, bad, out = lists("users.csv", user_id=["u"]), lists("bad.csv", name=["u"]), tmp_path / "out.csv"
    base = ["recommend", "--run", run, "--out", out, "--users"]
    for words, message in (
        ([*base, bad], "bad.csv, row 1, column user_id: expected this column"),
        ([*base, tmp_path / "none.csv"], "none.csv: expected a CSV file"),
        ([*base, good, "--k", 0], "--k: expected at least 1"),
        ([*base, good, "--diversity", 2], "--diversity: expected a level from 0 to 1"),
        ([*base, good, "--reranker", "best"], "--reranker: expected one of mmr, "),
        (
            [*base, good, "--reranker-option", "window=5"],
            "--reranker-option: expected a --reranker that it is for",
        ),
        (
            [*base, good, "--reranker", "ssd", "--reranker-option", "windows=5"],
            "SSD has no option 'windows'; there are diversity, score_normalization, ",
        ),
        (
            [*base, good, "--reranker", "ssd", "--reranker-option", "window=0"],
            "SSD: window must be a whole number of at least 1",
        ),
        (
            [*base, good, "--reranker", "mmr", "--reranker-option", "kernel=image"],
            "MMR reads 'image', a feature of the items, which this catalogue does not have",
        ),
    ):
        assert main(list(map(str, words))) == 2
        assert message in capsys.readouterr().err
    assert not out.exists()


def test_rows_with_errors_can_be_dropped_and_are_counted(tmp_path, capsys):
    data = tmp_path / "data"
    data.mkdir()
    random = np.random.default_rng(0)
    rows = [f"u{u},i{i},{random.integers(1, 6)}" for u in range(12) for i in random.permutation(20)[:6]]
    (data / "interactions.csv").write_text("\n".join(["user_id,item_id,rating", *rows, "u1,i1,abc"]))
    words = ["train", "--data", str(data), "--out", str(tmp_path / "run"), *QUICK, "--on-error", "drop"]
    assert main(words) == 0
    assert "dropped 1 rows of interactions.csv" in capsys.readouterr().out


def test_options_out_of_range_are_refused_with_one_message(run, folder, tmp_path, capsys):
    out = tmp_path / "out"
    train = ["train", "--data", folder, "--out", out]
    for words, message in (
        ([*train, "--seed", -1], "tfrec-div train: seed: expected a whole number from 0"),
        ([*train, "--reranker", "best"], "reranker: expected one of mmr, "),
        ([*train, "--reranker-option", "windows=5"], "reranker_options: expected arguments that fit"),
        ([*train, *QUICK, "--reranker-option", "kernel=smell"], "mmr reads 'smell', a feature of the items"),
        ([*train, "--test-fraction", 2], "test_fraction: expected a share between 0 and 1"),
        ([*train, "--features", "history"], "features: expected some that give both towers"),
        ([*train, "--negatives", "uniform,hard"], "negatives: expected one of uniform, memory, mined, shown"),
        ([*train, "--item-id-dropout", 1], "item_id_dropout: expected a share from 0 to less than 1"),
        ([*train, "--trainable-layers", "top"], "trainable_layers: expected none, all or a whole number"),
        (["evaluate", "--run", run, "--k", 0], "--k: expected at least 1"),
        (["evaluate", "--run", run, "--diversity", 7], "--diversity: expected a level from 0 to 1"),
        (["synth", "--out", out, "--users", -5], '--users: expected at least 1, found "-5"'),
        (["synth", "--out", out, "--items", 1], '--items: expected at least 2, found "1"'),
        (["synth", "--out", out, "--seed", -3], "--seed: expected at least 0"),
    ):
        assert main(list(map(str, words))) == 2
        assert message in capsys.readouterr().err
    assert not out.exists()


def test_texts_negatives_and_layers_are_options(folder, tmp_path):
    words = [
        "--features",
        "id,history,text",
        "--text",
        "tiny",
        "--max-tokens",
        "8",
        "--epochs",
        "1",
        "--k",
        "5",
    ]
    words += ["--text-fields", "title=title,about=description", "--trainable-layers", "1"]
    words += ["--negatives", "uniform,memory,mined,shown", "--fusion", "gated", "--item-id-dropout", "0.1"]
    words += ["--embedding-dim", "8", "--batch-size", "64"]
    assert main(["train", "--data", str(folder), "--out", str(tmp_path / "run"), *words]) == 0
    config = json.loads((tmp_path / "run" / "run.json").read_text())["config"]
    assert config["text_fields"] == {"title": ["title"], "about": ["description"]}
    assert config["negatives"] == ["uniform", "memory", "mined", "shown"]
    assert (config["trainable_layers"], config["item_id_dropout"], config["fusion"]) == (1, 0.1, "gated")
    assert main(["evaluate", "--run", str(tmp_path / "run"), "--k", "5"]) == 0
    parser = build_parser()
    known = parser.parse_args(["train", "--data", "d", "--out", "o", "--text-fields", "title, description"])
    assert (known.text_fields, known.trainable_layers) == (("title", "description"), None)
    with pytest.raises(SystemExit):
        parser.parse_args(["train", "--data", "d", "--out", "o", "--text-fields", "title=,b=c"])


def test_a_list_that_cannot_be_written_leaves_nothing(run, lists, tmp_path, monkeypatch, capsys):
    words = ["recommend", "--run", str(run), "--users", str(lists("users.csv", user_id=["u"])), "--out"]
    (tmp_path / "folder").mkdir()
    assert main([*words, str(tmp_path / "folder")]) == 2
    assert "--out: expected a file in a folder that exists" in capsys.readouterr().err
    before = sorted(tmp_path.iterdir())

    def no_space(_, path, **__):
        path.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(pd.DataFrame, "to_csv", no_space)
    assert main([*words, str(tmp_path / "out.csv")]) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before

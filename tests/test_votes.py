"""Votes are joined to their images, and majorities and shares are computed as in FER+'s paper."""

import csv
from pathlib import Path

import numpy as np
import pytest

from mien.types import EXPRESSIONS
from tests.synthetic import picture, write_csv, write_folders
from tests.votes_table import agreed, votes_for_folders, write_official, write_votes
from training.data.dataset import load_dataset
from training.data.files import DataError
from training.data.splits import Split
from training.data.votes import VOTED, ambiguous, clear_majority, shares, with_votes

SHARED = Path(__file__).parent.parent.parent / "shared" / "data" / "ferplus_votes.csv"


def voted(*rows, labels=None):
    """A split of images without pixels, with these votes."""
    votes = np.array([[row.get(column, 0) for column in VOTED] for row in rows], int)
    labels = np.zeros(len(rows), int) if labels is None else np.array(labels)
    return Split(np.zeros((len(rows), 1, 1, 1), np.uint8), labels, tuple(map(str, range(len(rows)))), votes)


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ({"happiness": 10}, "happiness"),
        ({"happiness": 6, "neutral": 4}, "happiness"),
        ({"happiness": 5, "neutral": 5}, None),
        ({"happiness": 5, "neutral": 4, "sadness": 1}, "happiness"),
        ({"happiness": 4, "neutral": 3, "sadness": 3}, None),
        ({"happiness": 1, "neutral": 1}, None),
        ({"happiness": 2, "anger": 1, "fear": 1, "neutral": 1}, "happiness"),
        ({"contempt": 6, "neutral": 4}, "contempt"),
        ({"unknown": 6, "neutral": 4}, None),
        ({"nf": 10}, None),
        ({}, None),
    ],
)
def test_a_majority_counts_by_the_published_protocol(votes, expected):
    (found,) = clear_majority(voted(votes))
    assert (VOTED[found] if found >= 0 else None) == expected


@pytest.mark.parametrize(
    ("votes", "expected", "few"),
    [
        ({"happiness": 8, "neutral": 2}, {"happy": 0.8, "neutral": 0.2}, False),
        ({"happiness": 2, "neutral": 1, "contempt": 7}, {"happy": 2 / 3, "neutral": 1 / 3}, False),
        ({"happiness": 2, "unknown": 8}, {"fear": 1.0}, True),
        ({}, {"fear": 1.0}, True),
    ],
)
def test_shares_cover_the_seven_expressions_and_fall_back_to_the_label_with_few_votes(votes, expected, few):
    split = voted(votes, labels=[EXPRESSIONS.index("fear")])
    np.testing.assert_allclose(shares(split)[0], [expected.get(name, 0) for name in EXPRESSIONS], atol=1e-6)
    assert ambiguous(split).tolist() == [few]


def test_votes_stay_with_their_images_in_a_subset():
    split = voted({"happiness": 3}, {"fear": 4}, {"anger": 5})
    taken = split.take(np.array([2, 0]))
    assert taken.votes.tolist() == split.votes[[2, 0]].tolist()
    assert taken.digest() != Split(taken.images, taken.labels, taken.names).digest()


def test_votes_join_folders_by_split_folder_and_file_name(tmp_path):
    dataset = load_dataset(write_folders(tmp_path / "data"))
    rows = [
        ("Training", "happy", "Training_0.png", {"happiness": 9}),
        ("Training", "sad", "Training_0.png", {"neutral": 9}),
        ("PublicTest", "sad", "PublicTest_1.png", {"sadness": 1}),
        ("PrivateTest", "sad", "nobody.png", {"sadness": 9}),
    ]
    joined, counts = with_votes(dataset, write_votes(tmp_path / "votes.csv", rows))
    assert [str(one) for one in counts] == [
        "Training: votes for 2 of 42 images, 0 of them ambiguous",
        "PublicTest: votes for 1 of 14 images, 1 of them ambiguous",
        "PrivateTest: votes for 0 of 14 images, 0 of them ambiguous",
    ]
    of_train = {
        (Path(name).parent.name, Path(name).name): tuple(votes)
        for name, votes in zip(joined.train.names, joined.train.votes, strict=True)
        if votes.any()
    }
    assert of_train == {
        ("happy", "Training_0.png"): tuple(9 * np.eye(10, dtype=int)[VOTED.index("happiness")]),
        ("sad", "Training_0.png"): tuple(9 * np.eye(10, dtype=int)[VOTED.index("neutral")]),
    }


def test_images_held_out_of_training_keep_their_votes(tmp_path):
    dataset = load_dataset(write_folders(tmp_path / "data", public=0, private=0))
    joined, counts = with_votes(dataset, votes_for_folders(tmp_path / "votes.csv"))
    assert [one.voted for one in counts] == [len(dataset.train), len(dataset.validation)]
    assert (clear_majority(joined.validation) == dataset.validation.labels).all()


@pytest.fixture
def kaggle(tmp_path):
    """A Kaggle CSV with an unreadable second row and rows that are not in the order of the splits."""
    rng = np.random.default_rng(0)
    rows = [(expression, picture(expression, rng), "Training") for expression in EXPRESSIONS]
    rows.insert(1, ("happy", np.zeros((3, 3), int), "Training"))
    rows.insert(3, ("fear", picture("fear", rng), "PublicTest"))
    return rows, load_dataset(write_csv(tmp_path / "fer2013.csv", rows))


def test_the_official_table_joins_a_kaggle_csv_by_its_rows(kaggle, tmp_path):
    rows, dataset = kaggle
    table = write_official(tmp_path / "fer2013new.csv", [(usage, agreed(name)) for name, _, usage in rows])
    joined, counts = with_votes(dataset, table)
    assert [(one.images, one.voted) for one in counts] == [(7, 7), (1, 1)]
    assert (clear_majority(joined.train) == dataset.train.labels).all(), "the skipped row is counted"
    assert clear_majority(joined.validation).tolist() == [EXPRESSIONS.index("fear")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[:-1], "expected a row for each of the CSV's images, found no row 9"),
        (lambda rows: [("PublicTest", rows[0][1]), *rows[1:]], "row 1: expected Usage Training as of the image"),
    ],
)
def test_an_official_table_of_other_images_is_refused(change, message, kaggle, tmp_path):
    rows, dataset = kaggle
    table = write_official(tmp_path / "fer2013new.csv", change([(usage, agreed(name)) for name, _, usage in rows]))
    with pytest.raises(DataError, match=message):
        with_votes(dataset, table)


HEADER = "split,folder,file,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected the columns split,file or Usage, and anger,disgust"),
        ("emotion,pixels\n0,1 2\n", "found emotion,pixels"),
        (HEADER, "expected rows of votes, found none"),
        (HEADER.replace("split,folder,file", "a,b,c") + "x,y,z,1,1,1,1,1,1,1,1,1,1\n", "found neither"),
        (HEADER + "Training,sad,Training_0.png,1,1,1,1,1,1,1,1,1,many\n", "row 1: expected whole numbers from 0"),
        (HEADER + "Training,sad,Training_0.png,1,1,1,1,1,1,1,1,1,-1\n", "row 1: expected whole numbers from 0"),
        (HEADER + "Training,sad,Training_0.png,1\n", "row 1: expected whole numbers from 0"),
        (HEADER + 2 * "Training,sad,a.png,1,1,1,1,1,1,1,1,1,1\n", "found a.png again in row 2"),
        (HEADER + "Training,sad,a.png,1,1,1,1,1,1,1,1,1,1\n", "expected votes for the images of the data set, such as"),
        (HEADER.replace("split,folder,file", "Usage,Image name,x") + "Training,a,b,1,1,1,1,1,1,1,1,1,1\n",
         "expected a Kaggle CSV as data set"),
    ],
)  # fmt: skip
def test_an_invalid_table_is_refused_with_what_was_expected(text, message, tmp_path):
    dataset = load_dataset(write_folders(tmp_path / "data", train=2, public=1, private=0))
    table = tmp_path / "votes.csv"
    table.write_text(text)
    with pytest.raises(DataError, match=message):
        with_votes(dataset, table)


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_file(), reason="the votes of FER+ are not beside the project")
def test_the_votes_of_fer_plus_give_the_published_counts():
    with SHARED.open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = {}
    for name in ("Training", "PublicTest", "PrivateTest"):
        own = [{column.lower(): int(row[column]) for column in list(row)[3:]} for row in rows if row["split"] == name]
        found[name] = np.bincount(1 + clear_majority(voted(*own)), minlength=9)
    assert {name: int(counts[1:].sum()) for name, counts in found.items()} == {
        "Training": 25059, "PublicTest": 3199, "PrivateTest": 3152,
    }  # fmt: skip
    assert found["PrivateTest"][1:].tolist() == [273, 18, 83, 893, 1089, 384, 396, 16]

"""Classifier and Regressor over ranks, each with rows of its own: pytest runs on every rank."""

import os
import pickle
import subprocess
import sys
import tempfile

import numpy as np
import pytest

import ecl
from ecl._tool import gather

CENTRES = np.random.default_rng(7).normal(0, 3, (4, 10))
OPTIONS = {"epochs": 60, "mode": "lock-step"}


def blobs(count, kinds, seed):
    """A row's class is the centre that it lies about."""
    random = np.random.default_rng(seed)
    kind = random.choice(kinds, count)
    return CENTRES[kind] + random.normal(0, 1, (count, 10)), kind


def shard(rank):
    """Two of the four classes; sizes differ."""
    return blobs(120 + 20 * rank, [rank % 4, (rank + 1) % 4], 100 + rank)


def alike(values):
    assert len(set(gather(np.asarray(values).tobytes()))) == 1


EVERYONE = blobs(1000, [0, 1, 2, 3], 5)


@pytest.mark.parametrize("model", ["softmax", "mlp:16"])
def test_each_rank_knows_the_classes_of_all(model, rank):
    """Who knows two of the four classes is right on half of all rows."""
    X, y = shard(rank)
    classifier = ecl.Classifier(model=model, **OPTIONS)
    assert classifier.fit(X, y) is classifier
    assert classifier.classes_.tolist() == [0, 1, 2, 3] and classifier.classes_.dtype.kind == "i"
    assert classifier.n_features_in_ == 10
    X, y = EVERYONE
    probabilities = classifier.predict_proba(X)
    assert probabilities.shape == (1000, 4)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(classifier.predict(X), probabilities.argmax(axis=1))
    assert classifier.score(X, y) == np.mean(classifier.predict(X) == y) > 0.95
    alike(probabilities)
    assert classifier.summary_["verdict"] == "converged" and classifier.summary_["nodes"] == ecl.size()
    known = np.array([CENTRES[rank % 4], CENTRES[(rank + 1) % 4]])  # the best that there is without the others
    nearest = ((X[:, None] - known) ** 2).sum(axis=2).argmin(axis=1)
    assert np.mean(np.array([rank % 4, (rank + 1) % 4])[nearest] == y) < 0.6


@pytest.mark.parametrize("names, kind", [
    (["b", "a", "d", "c"], "U"), ([-5, 10, 9, -40], "i"), (np.array(["x y", "ü", "'", ","], object), "O")])
def test_classes_come_back_as_given(names, kind, rank):
    names = np.array(names)
    X, y = shard(rank)
    classifier = ecl.Classifier(**OPTIONS).fit(X, names[y])
    np.testing.assert_array_equal(classifier.classes_, np.unique(names))
    assert classifier.classes_.dtype.kind == kind
    X, y = EVERYONE
    assert classifier.score(X, names[y]) > 0.95
    chosen = classifier.predict_proba(X).argmax(axis=1)
    np.testing.assert_array_equal(classifier.classes_[chosen], classifier.predict(X))


def test_two_classes_may_be_truths(rank):
    X, y = shard(rank)
    classifier = ecl.Classifier(**OPTIONS).fit(X, y % 2 == 0)
    assert classifier.classes_.tolist() == [False, True] and classifier.classes_.dtype == bool
    assert classifier.score(*(EVERYONE[0], EVERYONE[1] % 2 == 0)) > 0.6


def test_the_rate_is_the_optimizers_where_none_is_given(rank):
    for given, rate in (({}, 0.05), ({"optimizer": "adam"}, 0.001)):
        default, same = (ecl.Classifier(**OPTIONS, **given, **lr).fit(*shard(rank)) for lr in ({}, {"lr": rate}))
        np.testing.assert_array_equal(default.predict_proba(EVERYONE[0]), same.predict_proba(EVERYONE[0]))


def test_a_cell_that_is_no_number_is_named_by_its_place(rank):
    """Where columns have no names."""
    classifier = ecl.Classifier(**OPTIONS).fit(*shard(rank))
    with pytest.raises(ecl.Error, match="row 1, column 10: 'much' is no number"):
        classifier.predict(np.array([["1"] * 9 + ["much"]]))


def test_a_pickled_classifier_predicts_the_same(rank):
    classifier = ecl.Classifier(**OPTIONS).fit(*shard(rank))
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(again.predict_proba(EVERYONE[0]), classifier.predict_proba(EVERYONE[0]))


def test_a_number_is_predicted_in_its_own_unit(rank):
    """A plane that no rank sees but a strip of; sizes differ."""
    random = np.random.default_rng(rank)
    X = random.normal(0, 1, (100 + 30 * rank, 3)) + [3.0 * rank, 0, 0]
    regressor = ecl.Regressor(batch=16, epochs=150, mode="lock-step").fit(X, 1000 + X @ [10, -20, 30])
    X = np.random.default_rng(9).normal(4, 4, (200, 3))
    assert regressor.score(X, 1000 + X @ [10, -20, 30]) > 0.999
    np.testing.assert_allclose(regressor.predict(X), 1000 + X @ [10, -20, 30], atol=10)
    alike(regressor.predict(X))


def test_columns_have_names(rank):
    pandas = pytest.importorskip("pandas", reason="no pandas")
    X, y = shard(rank)
    names = [f"feature {i}" for i in range(10)]
    classifier = ecl.Classifier(**OPTIONS).fit(pandas.DataFrame(X, columns=names), pandas.Series(y))
    assert classifier.feature_names_in_.tolist() == names
    X = pandas.DataFrame(EVERYONE[0], columns=names)
    np.testing.assert_array_equal(classifier.predict_proba(X[names[::-1]]), classifier.predict_proba(EVERYONE[0]))
    with pytest.raises(ecl.Error, match="no column 'feature 3', which the model needs"):
        classifier.predict(X.drop(columns="feature 3"))


def test_the_run_stays_where_it_is_wanted(rank, tmp_path):
    out = gather(str(tmp_path / "run").encode())[0].decode()
    classifier = ecl.Classifier(out=out, standardise=False, set={"theta": 0.4}, **OPTIONS).fit(*shard(rank))
    run = ecl.Run(out)
    assert run.config["set"] == ["theta=0.4"] and run.config["dataset"] == "npy:standardise=0"
    np.testing.assert_array_equal(run.predict_proba(EVERYONE[0]), classifier.predict_proba(EVERYONE[0]))
    assert len(run.sites) == ecl.size() and run.sites["train_samples"].tolist() == [
        120 + 20 * r for r in range(ecl.size())]
    counts = np.bincount(shard(rank)[1], minlength=4)
    assert run.sites["classes"][rank] == ";".join(f"{c}={n}" for c, n in enumerate(counts) if n)


def test_each_may_scale_by_its_own_rows(rank):
    """Then a site's unit makes no difference."""
    X, y = shard(rank)
    one = ecl.Classifier(standardise="own", **OPTIONS).fit(X, y)
    other = ecl.Classifier(standardise="own", **OPTIONS).fit(X * 2.0**rank, y)
    np.testing.assert_allclose(other.predict_proba(X * 2.0**rank), one.predict_proba(X), atol=1e-5)
    assert one.score(X, y) > 0.7


def test_a_mistake_on_one_rank_is_told_to_all(rank):
    X, y = shard(rank)
    if rank == 1:
        X[2, 4] = np.nan
    with pytest.raises(ecl.Error, match="^rank 1: X, row 3, column 5: the value is missing, or beyond what a"):
        ecl.Classifier().fit(X, y)
    X, y = shard(rank)
    with pytest.raises(ecl.Error, match=r"^rank 2: y is float64 of shape \(160,\); classes are one whole number or"):
        ecl.Classifier().fit(X, y.astype(float) if rank == 2 else y)
    with pytest.raises(ecl.Error, match=r"^rank 0: X has 3 rows, and y has 2 labels"):
        ecl.Classifier().fit(X[:3], y[:2])
    with pytest.raises(ecl.Error, match=r"^rank 1: X is of shape \(0, 10\); every rank wants a row, and a column"):
        ecl.Classifier().fit(X[:0] if rank == 1 else X, y[:0] if rank == 1 else y)
    with pytest.raises(ecl.Error, match="every sample of all sites has the same label, '0', .* nothing to tell apart"):
        ecl.Classifier().fit(X, np.zeros_like(y))
    with pytest.raises(ecl.Error, match="^rank 3 on .* has 9 features a sample, and rank 0 on .* has 10; all sites"):
        ecl.Classifier().fit(X[:, :9] if rank == 3 else X, y)
    with pytest.raises(ecl.Error, match=r"^rank 0: y is <U21 of shape \(120,\); a regression wants one finite number"):
        ecl.Regressor().fit(X, y.astype(str))


def test_classes_are_of_one_kind_on_all_ranks(rank):
    X, y = shard(rank)
    with pytest.raises(ecl.Error, match="^rank 1: y holds truths, and rank 0's whole numbers; all ranks give the same"):
        ecl.Classifier().fit(X, y % 2 == 0 if rank == 1 else y % 2)
    with pytest.raises(ecl.Error, match="^rank 2: y holds whole numbers, and rank 0's texts; all ranks give the same"):
        ecl.Classifier().fit(X, y if rank >= 2 else y.astype(str))
    ecl.Regressor(epochs=1, mode="lock-step").fit(X, y if rank == 1 else y + 0.5)  # both are numbers
    with pytest.raises(ecl.Error, match="^y holds '01' and '1', which are one number; write classes that are numbers"):
        ecl.Classifier().fit(X, np.where(y % 2 == 0, "01" if rank == 3 else "1", "2"))


def test_scores_want_one_answer_for_each_row(rank):
    X, y = shard(rank)
    for estimator in (ecl.Classifier(**OPTIONS).fit(X, y), ecl.Regressor(epochs=1, mode="lock-step").fit(X, y)):
        for wrong in (y[:, None], y[:1], y[None], y[0]):
            with pytest.raises(ecl.Error, match=r"y is of shape \(.*\); score\(\) wants one for each of \d+ rows"):
                estimator.score(X, wrong)
        assert estimator.score(X, y.tolist()) == estimator.score(X, y)


def test_mistakes_are_named():
    with pytest.raises(ecl.Error, match="data is no option of Classifier, whose data are given to fit"):
        ecl.Classifier(data="a.csv")
    with pytest.raises(ecl.Error, match="this Classifier is not fitted yet"):
        ecl.Classifier().predict(EVERYONE[0])
    with pytest.raises(ecl.Error, match="fit is no option"):
        ecl.Classifier(fit=1)


def test_an_option_that_is_none_is_the_tools_line(rank):
    with pytest.raises(ecl.Error, match="unknown option --epoch=3"):
        ecl.Classifier(epoch=3).fit(*shard(rank))
    with pytest.raises(ecl.Error, match="did you mean 'softmax'"):
        ecl.Classifier(model="softmx").fit(*shard(rank))


def test_nothing_is_left_behind(rank, tmp_path, monkeypatch):
    place = gather(str(tmp_path).encode())[0].decode()
    monkeypatch.setattr(tempfile, "tempdir", place)
    classifier = ecl.Classifier(**OPTIONS).fit(*shard(rank))
    classifier.predict(EVERYONE[0])
    gather(b"done")
    assert os.listdir(place) == []


def test_neither_scikit_learn_nor_pandas_is_needed(rank):
    """In a process of its own, of one node."""
    if rank > 0:
        return
    code = """
import sys
sys.modules["sklearn"] = sys.modules["pandas"] = sys.modules["matplotlib"] = sys.modules["torch"] = None
import numpy as np
import ecl
X = np.random.default_rng(1).normal(size=(200, 3))
c = ecl.Classifier(mode="lock-step", seed=3).fit(X, X[:, 0] > 0)
assert c.get_params()["seed"] == 3 and c.set_params(lr=0.1).get_params()["lr"] == 0.1
print(c.score(X, X[:, 0] > 0) > 0.95, c)
"""
    alone = {name: value for name, value in os.environ.items() if not name.startswith(("OMPI_", "PMI", "PMIX"))}
    done = subprocess.run([sys.executable, "-B", "-c", code], capture_output=True, text=True, env=alone)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("True Classifier(model='softmax', solver='ecl'")

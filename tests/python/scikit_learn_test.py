"""Classifier and Regressor among scikit-learn's tools, in one process."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import ecl

X, Y = load_breast_cancer(return_X_y=True)


def test_clone_has_the_same_parameters():
    first = ecl.Classifier(model="mlp:4", weight_decay=0.01, class_weights="balanced").fit(X[:50], Y[:50])
    second = clone(first)
    assert second.get_params() == first.get_params() and second is not first
    with pytest.raises(ecl.Error, match="not fitted yet"):
        second.predict(X)
    assert second.set_params(lr=0.2).lr == 0.2 and first.lr is None
    assert is_classifier(first) and is_regressor(ecl.Regressor())


def test_cross_validation_is_about_as_good_as_logistic_regression():
    ours = cross_val_score(ecl.Classifier(), X, Y, cv=4)
    theirs = cross_val_score(make_pipeline(StandardScaler(), LogisticRegression()), X, Y, cv=4)
    assert len(ours) == 4 and ours.mean() > theirs.mean() - 0.02 > 0.9


def test_a_linear_model_is_least_squares():
    x, y = load_diabetes(return_X_y=True)
    ours, theirs = ecl.Regressor(epochs=300).fit(x, y), LinearRegression().fit(x, y)
    assert ours.score(x, y) == pytest.approx(r2_score(y, ours.predict(x)))
    assert ours.score(x, y) == pytest.approx(theirs.score(x, y), abs=0.01)


def test_fitting_takes_weights():
    """Half of the labels say the opposite, with little weight."""
    x, y = load_diabetes(return_X_y=True)
    weights = np.where(np.arange(len(y)) % 2 == 0, 1, 0.1)
    y = np.where(weights == 1, y, 300 - y)
    ours, theirs = ecl.Regressor(epochs=300).fit(x, y, weights), LinearRegression().fit(x, y, weights)
    np.testing.assert_allclose(ours.predict(x), theirs.predict(x), atol=0.05 * y.std())
    without = LinearRegression().fit(x, y)
    assert abs(without.predict(x) - theirs.predict(x)).max() > y.std()
    with pytest.raises(ecl.Error, match="sample_weight is int64 of shape"):
        ecl.Regressor().fit(x, y, [1, 2])


def test_in_a_pipeline_and_a_search():
    x, y = load_iris(return_X_y=True)
    names = load_iris().target_names[y]
    search = GridSearchCV(make_pipeline(StandardScaler(), ecl.Classifier(epochs=200, batch=16)),
                          {"classifier__lr": [1e-6, 0.05]}, cv=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the models that hardly move
        search.fit(x, names)
    assert search.best_params_ == {"classifier__lr": 0.05} and search.best_score_ > 0.9
    predicted = search.predict(x)
    assert set(predicted) == {"setosa", "versicolor", "virginica"}
    assert search.score(x, names) == accuracy_score(names, predicted)


def test_scores_take_weights():
    classifier = ecl.Classifier(epochs=20).fit(X, Y)
    weights = np.random.default_rng(1).random(len(Y))
    assert classifier.score(X, Y, weights) == pytest.approx(accuracy_score(Y, classifier.predict(X),
                                                                           sample_weight=weights))


def test_what_is_wrong_is_one_line():
    with pytest.raises(ecl.Error, match="an array of 569 x 3, and the model takes rows x 30"):
        ecl.Classifier(epochs=1).fit(X, Y).predict(X[:, :3])
    with pytest.raises(ecl.Error, match="X holds values that are no numbers; encode texts first"):
        ecl.Classifier().fit(np.array([["a", 1], ["b", 2]], object), [0, 1])

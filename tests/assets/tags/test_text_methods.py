"""Lines for all tags at once are those that scikit-learn finds for one tag after another."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.naive_bayes import MultinomialNB

from assets.tags import text_methods
from assets.tags.text_methods import BASELINE, METHODS, MODEL, Terms

TAGS = ("连衣裙", "绿茶", "猫粮", "露营", "礼盒")


@pytest.fixture(scope="module")
def texts(catalogue) -> list[str]:
    # Numbers such as 111 repeat a character, and show what is made of its count.
    return catalogue(150, seed=1)[0]


@pytest.fixture(scope="module")
def truth(catalogue):
    return np.array([[tag in own for tag in TAGS] for own in catalogue(150, seed=1)[1]])


@pytest.fixture(scope="module")
def known():
    """Every other text is learnt from, so that some terms are never seen."""
    return np.arange(0, 150, 2)


def log_odds(name, texts, truth, known):
    _, counts = Terms.counted(texts, METHODS[name].vectorizer())
    return METHODS[name].fit(counts[known], truth[known]).log_odds(counts)


def test_least_squares_on_terms_of_the_known_texts_alone(texts, truth, known, monkeypatch):
    """Nearly so as it is, as conjugate gradients stop early, and exactly when they go on."""
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=2, sublinear_tf=True)
    features = vectorizer.fit_transform([texts[row] for row in known])
    shares = truth[known].mean(axis=0)
    ridge = Ridge(alpha=0.3, fit_intercept=False, solver="cholesky")
    ridge.fit(features, truth[known] - shares)
    expected = 4 * (ridge.predict(vectorizer.transform(texts)) + shares - 0.5)
    found = log_odds(MODEL, texts, truth, known)
    assert np.abs(found - expected).mean() < 0.03
    monkeypatch.setattr(text_methods, "_TOLERANCE", 1e-6)
    assert log_odds(MODEL, texts, truth, known) == pytest.approx(expected, abs=1e-3)


def test_naive_bayes_on_words_of_the_known_texts_alone(texts, truth, known):
    vectorizer = CountVectorizer()
    features = vectorizer.fit_transform([texts[row] for row in known])
    others = vectorizer.transform(texts)
    found = log_odds(BASELINE, texts, truth, known)
    assert np.isfinite(found).any(axis=1).sum() == (others.sum(axis=1) > 0).sum()
    for place in range(len(TAGS)):
        model = MultinomialNB().fit(features, truth[known, place])
        none, own = model.predict_joint_log_proba(others).T
        is_known = np.isfinite(found[:, place])
        assert found[is_known, place] == pytest.approx((own - none)[is_known])


@pytest.mark.parametrize("name", METHODS)
def test_a_tag_on_all_texts_or_none_keeps_to_that(name, texts, truth, known):
    truth = np.column_stack((truth, np.ones(150, dtype=bool), np.zeros(150, dtype=bool)))
    found = log_odds(name, texts, truth, known)
    assert (found[known, -2] > 0).all() and (found[known, -1] < 0).all()
    assert not np.isnan(found).any()


@pytest.mark.parametrize("name", METHODS)
def test_of_texts_without_known_terms_nothing_is_said(name, texts, truth, known):
    terms, counts = Terms.counted(texts, METHODS[name].vectorizer())
    lines = METHODS[name].fit(counts[known], truth[known])
    found = lines.log_odds(terms.count(["", "ЖΨ", *texts[:2]]))
    assert np.isneginf(found[:2]).all()
    assert np.isfinite(found[2:]).all()


@pytest.mark.parametrize("name", METHODS)
def test_texts_of_blanks_have_no_terms(name):
    terms, counts = Terms.counted([" "] * 3, METHODS[name].vectorizer())
    if name == BASELINE:
        assert counts.shape == terms.count(["tea"] * 3).shape == (3, 0)
    lines = METHODS[name].fit(counts, np.array([[True], [False], [True]]))
    assert np.isneginf(lines.log_odds(terms.count(["tea"]))).all()

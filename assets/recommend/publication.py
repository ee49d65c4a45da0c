"""Champion and challenger: whether a new model may take the place of the published one."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Decision:
    """Whether a model is published, and why or why not in words."""

    is_published: bool
    reason: str


def decide(
    ndcg: float | None, popularity: float | None, champion: float | None, margin: float
) -> Decision:
    """Judges a new model by what it and its rivals are worth on the same holdout.

    A little worse than the champion is let pass: the holdout is a sample, and a model that knows
    the newest members and products serves better than an old one.

    Args:
        ndcg: of the new model, 0 to 1; None where nothing came after the cut to try it on.
        popularity: of the lists that everybody gets without a model, 0 to 1; None likewise.
        champion: of the published model, 0 to 1; None where there is none to try.
        margin: share of the champion's ndcg by which a new model may fall short of it, 0 to 1.
    """
    if ndcg is None or popularity is None:
        return Decision(True, "untried: nobody met anything new in the holdout window")
    if ndcg < popularity:
        return Decision(False, f"ndcg {ndcg:.4f} is below popularity's {popularity:.4f}")
    beats = f"ndcg {ndcg:.4f} against popularity's {popularity:.4f}"
    if champion is None:
        return Decision(True, beats)
    if ndcg < (1 - margin) * champion:
        return Decision(
            False,
            f"ndcg {ndcg:.4f} is more than {margin:.0%} below the published model's {champion:.4f}",
        )
    return Decision(True, f"{beats} and the published model's {champion:.4f}")

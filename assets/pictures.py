"""Pictures that assets show of themselves in Dagster's UI: frames in, Markdown out."""

import base64

import altair as alt
import polars as pl
import vl_convert as vlc

_SCALE = 1.5
_SEGMENTS = ["all", "cold", "light", "heavy", "new_members", "new_products"]
_MODELS = ["popularity", "popular", "content", "similar", "champion", "als", "served"]


def _markdown(title: str, chart: alt.Chart | alt.LayerChart | alt.FacetChart) -> str:
    """The chart as a PNG inside Markdown, for any viewer without a network."""
    png = vlc.vegalite_to_png(chart.to_json(), scale=_SCALE)  # pyright: ignore[reportUnknownMemberType]
    return f"![{title}](data:image/png;base64,{base64.b64encode(png).decode()})"


def scree(shares: pl.Series) -> str:
    """How much of what a factor model predicts each direction carries, in falling order.

    Args:
        shares: 0 to 1, shape (n_directions,).
    """
    title = "Share of the predictions by direction"
    frame = pl.DataFrame({"direction": range(1, len(shares) + 1), "share": shares})
    chart = (
        alt.Chart(frame, title=title, width=420, height=180)
        .mark_bar()
        .encode(
            x=alt.X("direction:O", axis=alt.Axis(labelOverlap=True, labelAngle=0)),
            y=alt.Y("share:Q", axis=alt.Axis(format=".0%"), title=None),
        )
    )
    return _markdown(title, chart)


def retention_heat_map(cohorts: pl.DataFrame) -> str:
    """Rates by cohort and period; what is not yet complete stays empty.

    Args:
        cohorts: cohort_date, period, rate (NULL where immature).
    """
    title = "Retention by cohort"
    frame = cohorts.drop_nulls("rate").with_columns(
        pl.col("cohort_date").cast(pl.String), pl.col("rate").cast(pl.Float64)
    )
    chart = (
        alt.Chart(frame, title=title, width=460, height=240)
        .mark_rect()
        .encode(
            x=alt.X("period:O", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("cohort_date:O", title="cohort"),
            color=alt.Color(
                "rate:Q", scale=alt.Scale(scheme="blues"), legend=alt.Legend(format=".0%")
            ),
        )
    )
    return _markdown(title, chart)


def models_compared(metrics: pl.DataFrame) -> str:
    """The ndcg of every source of lists beside popularity's, by segment of members.

    Args:
        metrics: model, segment, metric, value, baseline.
    """
    title = "What the lists of each source foresaw: ndcg"
    ndcg = metrics.filter(pl.col("metric") == "ndcg")
    popularity = ndcg.unique("segment").select(
        "segment", value="baseline", model=pl.lit("popularity")
    )
    frame = pl.concat([ndcg.select("segment", "value", "model"), popularity])
    chart = (
        alt.Chart(frame, title=title, width=520, height=220)
        .mark_bar()
        .encode(
            x=alt.X("segment:N", sort=_SEGMENTS, title=None, axis=alt.Axis(labelAngle=0)),
            xOffset=alt.XOffset("model:N", sort=_MODELS),
            y=alt.Y("value:Q", title=None),
            color=alt.Color("model:N", sort=_MODELS),
        )
    )
    return _markdown(title, chart)


def calibration_curve(groups: pl.DataFrame) -> str:
    """What was predicted against what came; on the diagonal the two agree.

    Args:
        groups: model, predicted, observed (0 to 1), a row for each group of members.
    """
    title = "Predicted and observed share of buyers"
    shares = [*groups["predicted"], *groups["observed"]]
    top = max(shares, default=1.0)
    axis = alt.Axis(format=".0%")
    scale = alt.Scale(domain=[0, top])
    curves = (
        alt.Chart(groups, title=title, width=320, height=320)
        .mark_line(point=True)
        .encode(
            x=alt.X("predicted:Q", axis=axis, scale=scale),
            y=alt.Y("observed:Q", axis=axis, scale=scale),
            color="model:N",
        )
    )
    diagonal = (
        alt.Chart(pl.DataFrame({"predicted": [0.0, top], "observed": [0.0, top]}))
        .mark_line(color="grey", strokeDash=[4, 4])
        .encode(x="predicted:Q", y="observed:Q")
    )
    return _markdown(title, diagonal + curves)


def tracking_plot(weeks: pl.DataFrame) -> str:
    """Cumulative repeat orders as they came and as the model has them; the rule is the split.

    Args:
        weeks: week, actual_repeats, expected_repeats, is_holdout, a row for each week.
    """
    title = "Repeat orders so far"
    lines = weeks.select(
        "week",
        "is_holdout",
        pl.col("actual_repeats").cast(pl.Float64).alias("actual"),
        pl.col("expected_repeats").alias("expected"),
    ).unpivot(["actual", "expected"], index=["week", "is_holdout"], variable_name="orders")
    chart = (
        alt.Chart(lines, title=title, width=460, height=240)
        .mark_line()
        .encode(x="week:Q", y=alt.Y("value:Q", title=None), color="orders:N")
    )
    split = weeks.filter("is_holdout").select(pl.col("week").min() - 0.5).drop_nulls()
    rule = alt.Chart(split).mark_rule(color="grey", strokeDash=[4, 4]).encode(x="week:Q")
    return _markdown(title, chart + rule)


def transition_matrix(stages: pl.DataFrame) -> str:
    """Of the members in a stage, how many were where a month later.

    Args:
        stages: from_stage, to_stage, rate (NULL where nobody was).
    """
    title = "Stage at the start and at the end of the last whole month"
    rates = stages.with_columns(pl.col("rate").cast(pl.Float64)).drop_nulls("rate")
    cells = alt.Chart(rates, title=title, width=360, height=280).encode(
        x=alt.X("to_stage:N", title="at the end", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("from_stage:N", title="at the start"),
    )
    colours = cells.mark_rect().encode(
        # Beyond 1, so that the darkest cell still lets its number be read.
        color=alt.Color("rate:Q", scale=alt.Scale(scheme="blues", domain=[0, 1.5]), legend=None)
    )
    return _markdown(
        title, colours + cells.mark_text().encode(text=alt.Text("rate:Q", format=".0%"))
    )

"""Pictures that assets show of themselves in Dagster's UI: frames in, Markdown out."""

import base64

import altair as alt
import polars as pl
import vl_convert as vlc

_SCALE = 1.5


def _markdown(title: str, chart: alt.Chart) -> str:
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

"""Every browsing and review feature from published rows, in plain pandas: shares nothing with the code that it checks."""

import pandas as pd

MINUTE = pd.Timedelta(minutes=1)


def in_window(rows: pd.DataFrame, as_of: str, window_days: int) -> pd.DataFrame:
    end = pd.Timestamp(as_of)
    return rows[(rows.day <= end) & (rows.day > end - pd.Timedelta(days=window_days))]


def features(rows: pd.DataFrame, as_of: str, window_days: int) -> pd.DataFrame:
    """rows: user, at, day, type, and, where there are, session and seconds. NaN: undefined."""
    end = pd.Timestamp(as_of)
    rows = in_window(rows, as_of, window_days)
    if "session" not in rows:
        rows = rows.sort_values(["user", "at"])
        new = (rows["at"].diff() > 30 * MINUTE) | (rows.user != rows.user.shift()) | (rows.day != rows.day.shift())
        rows = rows.assign(session=new.cumsum())
    for kind in ("view", "cart", "purchase"):
        rows = rows.assign(**{kind: rows.type == kind})
    sessions = rows.groupby(["user", "day", "session"], sort=False)
    s = sessions[["view", "cart", "purchase"]].sum()
    s["minutes"] = (
        sessions.seconds.sum() / 60 if "seconds" in rows else (sessions["at"].max() - sessions["at"].min()) / MINUTE
    )
    for first, then in (("view", "cart"), ("view", "purchase"), ("cart", "purchase")):
        s[f"{first} {then}"] = (s[first] > 0) & (s[then] > 0)
    s["viewed"], s["carted"] = s["view"] > 0, s["cart"] > 0
    s["sessions"] = 1
    s = s.reset_index()
    users = s.groupby("user")
    sums = users[[name for name in s.columns if name not in ("user", "day", "session")]].sum()
    f = pd.DataFrame(index=sums.index)
    f["browse_recency"] = (end - users.day.max()).dt.days
    f["browse_days"] = users.day.nunique()
    f["sessions"] = sums.sessions
    f["views"], f["carts"], f["purchases"] = sums["view"], sums["cart"], sums["purchase"]
    f["views_per_session"] = sums["view"] / sums.sessions
    f["view_to_cart"] = (sums["view cart"] / sums.viewed).where(sums.viewed > 0)
    f["cart_to_purchase"] = (sums["cart purchase"] / sums.carted).where(sums.carted > 0)
    f["view_to_purchase"] = (sums["view purchase"] / sums.viewed).where(sums.viewed > 0)
    f["browse_time"] = sums.minutes
    f["minutes_per_session"] = sums.minutes / sums.sessions
    a, b = (
        in_window(s, as_of, days).groupby("user").sessions.sum().reindex(f.index).fillna(0) / days
        for days in (min(30, window_days), min(90, window_days))
    )
    f["browse_trend"] = (a / b).where(b > 0)
    f.index = f.index.astype(str)
    return f.astype(float).sort_index()


def review_features(rows: pd.DataFrame, as_of: str, window_days: int, low: float) -> pd.DataFrame:
    """rows: user, day, rating. low: the highest rating that is low."""
    rows = in_window(rows, as_of, window_days)
    ratings = rows.assign(low=rows.rating <= low).groupby("user")
    f = pd.DataFrame(
        {"reviews": ratings.size(), "mean_rating": ratings.rating.mean(), "low_rating_share": ratings.low.mean()}
    )
    return f.astype(float).sort_index()

"""Every purchase feature from published rows, in plain pandas: shares nothing with the code that it checks."""

import pandas as pd


def features(rows: pd.DataFrame, as_of: str, window_days: int, returns: str = "net") -> pd.DataFrame:
    """rows: user, day, order, quantity, amount, and, where there are, category and discount. NaN: undefined."""
    end = pd.Timestamp(as_of)
    rows = rows[(rows.day <= end) & (rows.day > end - pd.Timedelta(days=window_days))]
    back = (rows.quantity < 0) | (rows.amount < 0)
    kept, bought = rows[~back], rows[~back & (rows.quantity > 0)]
    counted = rows if returns == "net" else kept
    orders = bought.drop_duplicates(["user", "day", "order"]).groupby("user").size()
    f = pd.DataFrame(index=pd.Index(sorted(rows.user.unique()), name="user"))
    days = bought.drop_duplicates(["user", "day"]).groupby("user").day.agg(["min", "max", "count"]).reindex(f.index)
    f["recency"] = (end - days["max"]).dt.days
    f["frequency"] = orders.reindex(f.index).fillna(0)
    f["monetary"] = counted.groupby("user").amount.sum().reindex(f.index).fillna(0)
    f["average_order_value"] = f.monetary / orders
    f["order_gap"] = ((days["max"] - days["min"]).dt.days / (days["count"] - 1)).where(days["count"] > 1)
    gross = kept.groupby("user").amount.sum().reindex(f.index).fillna(0)
    returned = -rows[back].groupby("user").amount.sum().reindex(f.index).fillna(0)
    f["return_share"] = (returned / gross).clip(upper=1).where(gross > 0)
    if "discount" in rows:
        discount = kept.groupby("user").discount.sum().reindex(f.index).fillna(0)
        f["discount_share"] = (discount / (discount + gross)).where(discount + gross > 0)
    if "category" in rows:
        spread = bought.groupby(["user", "day", "order"]).category.nunique()
        f["category_spread"] = spread.groupby("user").mean()
    a, b = (
        kept[kept.day > end - pd.Timedelta(days=n)].groupby("user").amount.sum().reindex(f.index).fillna(0) / n
        for n in (min(30, window_days), min(90, window_days))
    )
    f["trend"] = (a / b).where(b > 0)
    f["active_days"] = days["count"].fillna(0)
    f["repeat_days"] = days["count"] - 1
    f["days_first_to_last"] = (days["max"] - days["min"]).dt.days
    f["days_since_first"] = (end - days["min"]).dt.days
    per_day = counted.groupby(["user", "day"]).amount.sum()
    per_day = per_day[per_day.index.isin(pd.MultiIndex.from_frame(bought[["user", "day"]]))].reset_index()
    later = per_day[per_day.day > per_day.user.map(days["min"])]
    f["mean_repeat_day_value"] = later.groupby("user").amount.mean().reindex(f.index).fillna(0).where(days["count"] > 0)
    f.index = f.index.astype(str)
    return f.sort_index()

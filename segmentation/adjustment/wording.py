"""A day's decision in one sentence, in the reader's language."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from segmentation.texts import Texts, share, whole

ENGLISH = Texts("en")


def sentence(decision: Mapping[str, Any], texts: Texts = ENGLISH) -> str:
    """What was decided about the segments, and why; `decision` is a decision.json."""
    evidence, reason = decision["evidence"], decision["reason"]
    places = {
        "users": whole(evidence["users"]),
        "segments": whole(evidence["segments"]),
        "lacks": _lacks(evidence, texts),
        "drift": _drift(evidence, texts),
        "changes": _changes(decision, texts),
    }
    if "model_born" in evidence:
        places["born"] = texts.day(date.fromisoformat(evidence["model_born"]))
    if "evaluation" in evidence:
        places["far"] = share(evidence["evaluation"]["far"])
        alarmed = [alarm["segments"] for alarm in evidence.get("alarms", ()) if alarm["reason"] == "halved"]
        places["ids"] = texts("page.comma").join(*alarmed or [evidence["evaluation"]["halved"]])
        figures = evidence["evaluation"]
        places["parted"] = figures.get("parted") or figures.get("parting") or ""
    match decision["decision"]:
        case "baseline":
            if reason != "first_day":
                return texts(f"decision.first_{reason}", **places)
            features = _features(evidence["features"], texts)
            founded = texts("decision.first_day", features=features, structure=_structure(evidence, texts), **places)
            return founded + texts("decision.first_few", **places) if "lacks" in evidence else founded
        case "update":
            if reason == "settled":
                settles = evidence["settles"]
                places["ids"] = texts("page.comma").join(settles.get("segments", ()))
                if settles["reason"] == "filling":
                    return texts("decision.filling", shift=f"{settles['shift']:.2f}", **places)
                return texts("decision.settled", why=texts(f"decision.why_{settles['reason']}", **places))
            shift = f"{evidence['centre_shift']:.2f}"
            return texts("decision.renewed" if reason == "renewed" else "decision.update", shift=shift, **places)
        case "restructure":
            places["why"] = texts(f"decision.why_{reason}", **places)
            return texts("decision.restructure", impact=share(evidence["impact"]["users"]), **places)
    if reason in ("challenged", "proposed", "waiting"):
        places["why"] = texts(f"decision.why_{evidence['challenge']['reason']}", **places)
        places["impact"] = _impact(evidence["challenge"]["impact"], texts)
    if reason == "unexplained":
        places["why"] = texts(f"decision.why_{evidence['alarms'][0]['reason']}", **places)
    return texts(f"decision.hold_{reason}", **places)


def _impact(impact: Mapping[str, float], texts: Texts) -> str:
    """Whom another model would reassign: with their revenue, where that is the larger share and so the reason to ask."""
    users, revenue = impact["users"], impact.get("revenue", 0.0)
    if revenue <= users:
        return texts("decision.impact_users", users=share(users))
    return texts("decision.impact_revenue", users=share(users), revenue=share(revenue))


def _structure(evidence: Mapping[str, Any], texts: Texts) -> str:
    asked = evidence["segments_asked"]
    if isinstance(asked, int) and evidence["structure"] == "given" and evidence["segments"] < asked:
        return texts("decision.structure_fewer", asked=whole(asked))
    stable = [whole(one["segments"]) for one in evidence.get("candidates", ()) if one["stable"]]
    places = {"segments": whole(evidence["segments"]), "stable": texts("page.comma").join(stable)}
    return texts(f"decision.structure_{evidence['structure']}", **places)


def _lacks(evidence: Mapping[str, Any], texts: Texts) -> str:
    found = evidence.get("lacks", {})
    told = (
        texts(f"decision.lacks_{name}", there=whole(there), needed=whole(needed))
        for name, (there, needed) in found.items()
    )
    return texts("page.comma").join(told)


def _drift(evidence: Mapping[str, Any], texts: Texts) -> str:
    names = evidence.get("evaluation", {}).get("drift", ())
    if not names:
        return texts("decision.no_drift")
    return texts("decision.drifted", features=_features(names, texts))


def _features(names: Iterable[str], texts: Texts) -> str:
    labels = (texts.known("features", name) for name in names)
    return texts("page.comma").join(label[:1].lower() + label[1:] for label in labels)


def _changes(decision: Mapping[str, Any], texts: Texts) -> str:
    proposals = decision["state"]["proposals"] if decision["reason"] == "proposed" else []
    events = proposals[-1]["events"] if proposals else decision["events"]
    counted = Counter(event["event"] for event in events)
    return texts("page.comma").join(
        texts(f"decision.event_{name}", count=whole(count)) for name, count in sorted(counted.items())
    )

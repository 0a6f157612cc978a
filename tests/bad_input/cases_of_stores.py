"""Stores that are not what they should be, and what happens to a run."""

import errno
from datetime import date
from typing import Any

from spoils import Spoil, fresh, line, refused, setting
from spoilt import DAY, RUN, Shop, nothing

from segmentation import history
from segmentation.store.content import seal
from segmentation.store.log import key_of

# The store -----------------------------------------------------------------------------------------------------------


def no_folder(shop: Shop) -> None:
    """Root may write everywhere: a file in the place of the folder."""
    fresh(shop)
    shop.write("store", "not a folder")


def full_disk(writes: int) -> Spoil:
    """The disk has room for so many writes more."""

    def spoil(shop: Shop) -> None:
        import obstore

        write, left = obstore.put, writes
        shop.full = True

        def put(store: Any, key: str, data: bytes, **more: Any) -> Any:
            nonlocal left
            left -= 1
            if shop.full and left < 0:
                raise OSError(errno.ENOSPC, "No space left on device", key)
            return write(store, key, data, **more)

        shop.patch.setattr(obstore, "put", put)

    return spoil


def room_again(shop: Shop) -> None:
    shop.full = False
    shop.run_well(*RUN)
    same_as_undisturbed(shop)


def same_as_undisturbed(shop: Shop) -> None:
    """The history is that of a shop to which nothing happened."""
    digest = shop.store().state().digest()
    fresh(shop)
    shop.run_well("backfill", "--from", "2024-03-01", "--to", str(DAY))
    assert shop.store().state().digest() == digest


def newer(shop: Shop) -> None:
    store = shop.store()
    state = store.state()
    record = {
        "number": state.number + 1,
        "previous": state.head,
        "kind": "merge",
        "at": state.at,
        "by": "",
        "version": "99",
    }
    shop.newest = key_of(state.number + 1)
    store.objects.put(shop.newest, seal(record))


def interrupted(shop: Shop) -> None:
    publish = history.stages.publish

    def interrupt(*_: object) -> None:
        shop.patch.setattr(history.stages, "publish", publish)
        raise KeyboardInterrupt

    shop.patch.setattr(history.stages, "publish", interrupt)


def of_another(shop: Shop) -> None:
    """A second shop's configuration beside the first one's, and both leave [store] url as it is."""
    shop.file(line("z"), name="second/orders.csv")
    shop.source(path="second/*.csv")
    shop.configure()
    (shop.root / "segmentation.toml").rename(shop.root / "second.toml")


def damaged(shop: Shop) -> None:
    store = shop.store()
    folder = store.state().published[date(2024, 3, 4)].folder
    (shop.root / "store" / folder / "memberships.parquet").write_bytes(b"PAR1")


STORES = [
    setting(
        "two configurations on one store",
        of_another,
        "[store] url = 'file:store': the store is of the project 'segmentation', and this is 'second'",
        "Give this one a store of its own",
        "[project] name = 'segmentation'",
        config="second.toml",
    ),
    refused(
        "a damaged store",
        damaged,
        "a file of the store is damaged",
        "run `segmentation verify`",
        history=False,
        command=("user", "a"),
    ),
    refused("a store that cannot be written to", no_folder, "the store's folder", "cannot be made or opened"),
    *(
        refused(
            f"a full disk after {writes} writes",
            full_disk(writes),
            "cannot write",
            "No space left on device",
            then=room_again,
            kept=True,
        )
        for writes in (0, 4, 9)
    ),
    refused("a store of a newer version", newer, "is of kind 'merge': the store is of a newer version", history=False),
    refused(
        "an interrupted run",
        interrupted,
        "interrupted: what is published and accepted is kept",
        code=130,
        then=lambda shop: (shop.run_well(*RUN), same_as_undisturbed(shop))[0],
        kept=True,
    ),
    refused(
        "no history to look at", fresh, "there is no history yet", "segmentation run --date DATE", command=("segments",)
    ),
    refused("a day that is not published", nothing, "2024-03-05", command=("segments", "--date", str(DAY))),
    setting(
        "a report into no folder",
        nothing,
        "there is no folder nowhere; make it first",
        command=("report", "--out", "nowhere/report.html"),
    ),
]

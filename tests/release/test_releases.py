"""Every release, read once, by number and by content."""

from lastgood.release.release import Release
from lastgood.release.releases import Releases


def test_each_is_read_once_and_found_by_its_content() -> None:
    asked: list[int] = []
    contents = {1: "a", 2: "b", 3: "a", 4: "c"}

    def read(number: int) -> Release:
        asked.append(number)
        return Release(number, "shop", None, {"gateway": contents[number], "service:web": "v1"})

    releases = Releases(read)
    assert releases.newest_with({"service:web": "v1", "gateway": "a"}, (1, 2)) == 1
    assert releases.newest_with({"gateway": "a"}, (1, 2)) is None
    assert releases.newest_with({"gateway": "a", "service:web": "v1"}, (1, 2, 3)) == 3
    assert releases.newest_with({"gateway": "c", "service:web": "v1"}, (1, 2, 3)) is None
    assert releases.newest_with({"gateway": "c", "service:web": "v1"}, (1, 2, 3, 4)) == 4
    assert releases(2).parts["gateway"] == "b"
    assert asked == [1, 2, 3, 4]

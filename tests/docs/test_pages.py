"""What the pages show is true: each code block is run, parsed, or compared with what was printed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from docs.pages import OUTPUT, PAGES, ROOT, blocks_of, page_blocks
from docs.reader import Reader
from docs.things import have_clips, prepare
from serving import ServerProcess


@pytest.fixture(scope="module")
def usual_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], ServerProcess]]:
    """Gives the server that ``make serve`` starts, which the first page that needs it starts."""
    started: list[ServerProcess] = []

    def server() -> ServerProcess:
        if not started:
            folder = tmp_path_factory.mktemp("server")
            started.append(ServerProcess(folder, grpc="on", extractors=1, **{"grpc-port": 0}))
        return started[0]

    yield server
    for one in started:
        one.stop()


@pytest.mark.timeout(600)  # a page may start several servers
@pytest.mark.filterwarnings("ignore:The inplace keyword:DeprecationWarning")  # of Dask, about pandas
@pytest.mark.parametrize("page", [str(page.relative_to(ROOT)) for page in PAGES])
def test_each_code_block_is_as_the_page_says(
    page: str, tmp_path: Path, usual_server: Callable[[], ServerProcess]
) -> None:
    blocks = page_blocks(ROOT / page)
    if not blocks:
        return
    prepare(tmp_path, (ROOT / page).read_text(encoding="utf-8"))
    reader = Reader(tmp_path, usual_server)
    try:
        for block in blocks:
            try:
                reader.read(block, compare=have_clips())
            except Exception as error:
                raise AssertionError(f"{block.where}: {error}") from error
    finally:
        reader.close()
    if not have_clips() and any(OUTPUT in block.marks for block in blocks):
        pytest.skip("the blocks run; what they print is not compared, as there is no labelled human speech here")


@pytest.mark.parametrize(
    "text",
    [
        "```\nls\n```\n",
        "    ls\n",
        "```perl\nprint 1\n```\n",
        "```sh quietly\nls\n```\n",
        "```sh not-run\nls\n```\n",
        "```text\nls\n```\n",
        "```sh\nfalse\n```\n",
        "```sh\nmake nothing\n```\n",
        '```sh\npip install "voxgender[nothing]"\n```\n',
        "```sh\npython benchmarks/nothing.py\n```\n",
        '```sh not-run="it takes long"\nvoxgender train --nothing\n```\n',
        '```python not-run="it takes long"\nfrom voxgender import nothing\n```\n',
        "```python\n1 / 0\n```\n",
        "```pycon\n>>> 1 + 1\n3\n```\n",
        "```json\n{]\n```\n",
        '```json licence\n{"licensee": "ACME"}\n```\n',
        "```sh\necho 1.5\n```\n\n```text output\n1.7\n```\n",
        "```sh\necho 15\n```\n\n```text output\n16\n```\n",
        "```sh\necho '[1, 2]'\n```\n\n```json output\n[1]\n```\n",
    ],
)
def test_no_block_escapes(text: str, tmp_path: Path, usual_server: Callable[[], ServerProcess]) -> None:
    reader = Reader(tmp_path, usual_server)
    *before, last = blocks_of(text, "page.md")
    for block in before:
        reader.read(block, compare=True)
    with pytest.raises((AssertionError, ImportError, ValueError, ZeroDivisionError)):
        reader.read(last, compare=True)


def test_ids_times_and_small_differences_of_floats_do_not_matter(
    tmp_path: Path, usual_server: Callable[[], ServerProcess]
) -> None:
    first, second = "11111111-2222-3333-4444-555555555555", "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
    page = f"""```sh
echo 'id: {second} at 2026-01-02T03:04:05Z, 1.501 of 7'
```

```text output
id: {first} at 2025-01-01T00:00:00Z,
1.5 of ...
```

```sh
test {first} = {second}
```
"""
    reader = Reader(tmp_path, usual_server)
    for block in blocks_of(page, "page.md"):
        reader.read(block, compare=True)

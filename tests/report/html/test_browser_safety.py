"""Hostile names and injected scripts, in a browser."""

from pathlib import Path

from browser_pages import Watched
from busy_pages import HOSTILE, KINDS

from fgbench.report.html.pages import SCRIPT

EXPAND = "for (const fold of document.querySelectorAll('details')) fold.open = true"


def test_hostile_names_stay_text(watched, hostile):
    for path in sorted(hostile.glob("*.html")):
        page = watched.open(path)
        page.evaluate(EXPAND)
        assert page.evaluate("typeof ran") == "undefined", path.stem
        scripts = "all => all.map((each) => [each.type, each.getAttribute('src'), each.textContent])"
        for kind, file, text in page.eval_on_selector_all("script", scripts):
            # Ours, data that does not run, or a file beside the pages.
            assert text == SCRIPT.text or kind == "application/json" or (hostile / file).is_file(), path.stem
        addresses = page.eval_on_selector_all("[href], [src]", "all => all.map((each) => each.href || each.src)")
        assert {address.partition(":")[0] for address in addresses} <= {"file", "https", "http", "data"}, path.stem
        links = page.eval_on_selector_all("a[href^='file:'], a:not([href*=':'])", "all => all.map((a) => a.href)")
        files = {Path(link.partition("#")[0].removeprefix("file://")).name for link in links}
        assert files <= {file.name for file in hostile.glob("*.html")}, path.stem
        handlers = "all => all.filter((each) => [...each.attributes].some((a) => a.name.startsWith('on'))).length"
        assert page.eval_on_selector_all("*", handlers) == 0, path.stem
    body = watched.open(hostile / "bcnn.html").text_content("main")
    assert all(kind in body for kind in KINDS)
    assert watched.page.text_content("h1") == HOSTILE


def test_an_injected_script_does_not_run(chromium, busy, tmp_path):
    watched = Watched(chromium)
    text = (busy / "index.html").read_text(encoding="utf-8")
    planted = "<script>ran = 1</script><img src='data:x' onerror='ran = 1'><img src='https://example.org/x.png'>"
    (tmp_path / "planted.html").write_text(text.replace("</main>", f"{planted}</main>"), encoding="utf-8")
    page = watched.open(tmp_path / "planted.html")
    assert page.evaluate("typeof ran") == "undefined"
    assert sum("Content Security Policy" in said for said in watched.wrong) == 3
    assert page.locator("th button").count() > 0  # The script of the page still runs.
    watched.context.close()

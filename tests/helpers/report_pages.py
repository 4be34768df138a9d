"""Pages of reports, written and read again."""

from html.parser import HTMLParser

from made_records import RECIPES

from fgbench.judge.claims import check_claims
from fgbench.judge.columns import judge_papers
from fgbench.judge.sensitivity import find_bounds
from fgbench.papers.printed import load_papers
from fgbench.report.html.pages import SCRIPT
from fgbench.report.html.render import render

PAPERS = load_papers()
VOID = {"meta", "br", "line", "polyline", "img", "link", "hr", "input"}
HOSTILE = "<script>alert(1)</script>\"'&"


def pages(tmp_path, records, obstacles=None, papers=PAPERS, outputs=None, anomalies=None):
    outputs = outputs or (lambda record: {})
    bounds = find_bounds(records, outputs)
    verdicts = judge_papers(papers, records, obstacles or {}, RECIPES, anomalies, bounds)
    claims = check_claims(papers, records, outputs, RECIPES, anomalies)
    index = render(papers, verdicts, claims, records, tmp_path, anomalies=anomalies, outputs=outputs, bounds=bounds)
    return {path.stem: path.read_text() for path in index.parent.glob("*.html")}


class Parsed(HTMLParser):
    """Tags and text of a page; `wrong` lists end tags that do not match."""

    def __init__(self, text):
        super().__init__()
        self.stack, self.wrong, self.tags, self.words = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if not self.stack or self.stack.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def only_our_script(text):
    """Return whether the only scripts of a page, in policy and tags, are that of all pages and that of charts."""
    tags = Parsed(text).tags
    scripts = [attributes for tag, attributes in tags if tag == "script" and attributes.get("type") is None]
    charts = [{"defer": None, "src": "charts.js"}] if "charts.js" in text else []
    policy = next(a["content"] for tag, a in tags if a.get("http-equiv") == "Content-Security-Policy")
    sources = f"'{SCRIPT.hash}'" + (" 'self' file:" if charts else "")
    ours = scripts == [{}, *charts] and f"<script>{SCRIPT.text}</script>" in text
    return ours and policy.split("script-src ")[1] == sources

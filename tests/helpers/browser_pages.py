"""Pages in a real browser."""

WIDE = {"width": 1440, "height": 900}


class Watched:
    """A page of the browser; `wrong` lists its errors, warnings, dialogs and network requests."""

    def __init__(self, browser, **options):
        self.context = browser.new_context(viewport=WIDE, **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(5000)
        self.wrong = []
        self.page.on(
            "console", lambda said: self.wrong.append(said.text) if said.type in {"error", "warning"} else None
        )
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.wrong.append("a dialog"), dialog.dismiss()))
        self.page.on("request", lambda asked: self._asked(asked.url))

    def _asked(self, url):
        if not url.startswith(("file:", "data:")):
            self.wrong.append(url)

    def open(self, path, anchor=""):
        self.page.goto(path.as_uri() + anchor)
        return self.page

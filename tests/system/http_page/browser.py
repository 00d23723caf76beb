"""A headless Chromium, driven over its DevTools protocol: for the test of the page, and for pictures of it.

    browser.py follow ORIGIN             follows the page while its mount works, ends and comes back; says how far it is
    browser.py guarded ORIGIN TOKEN      types the token into the page and waits for numbers and paths
    browser.py picture ORIGIN FILE light|dark WIDTH [ZOOM]
                                         waits until the page has drawn for a while, and takes a picture of all of it

The program of the browser is named by MUSEFS_CHROMIUM, or is `chromium`. A picture takes the token of MUSEFS_TOKEN.
"""

import base64
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request

import websocket

# However busy the machine is.
PATIENCE = 90
# What is drawn in a picture.
PICTURE_SECONDS = float(os.environ.get("MUSEFS_PICTURE_SECONDS", "100"))
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-dev-shm-usage", "--disable-extensions", "--disable-default-apps", "--no-first-run",
    "--hide-scrollbars", "--remote-debugging-port=0", "--remote-allow-origins=*", "--no-proxy-server",
]


def eventually(what, look):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    raise SystemExit(f"never came: {what}")


class Browser:
    """One page of a browser with an empty profile, and all that it did."""

    def __init__(self):
        self.profile = tempfile.TemporaryDirectory(prefix="musefs-browser-", ignore_cleanup_errors=True)
        program = os.environ.get("MUSEFS_CHROMIUM", "chromium")
        self.process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={self.profile.name}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": self.profile.name},
        )
        self.requests, self.complaints = [], []
        port = eventually("the port of the browser", self.port)
        target = eventually("a page", lambda: self.page_of(port))
        self.socket = websocket.create_connection(target, timeout=PATIENCE, suppress_origin=True)
        self.next = 0
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def port(self):
        try:
            with open(os.path.join(self.profile.name, "DevToolsActivePort")) as file:
                return int(file.readline())
        except (OSError, ValueError):
            return None

    def page_of(self, port):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        pages = json.load(opener.open(f"http://127.0.0.1:{port}/json", timeout=PATIENCE))
        return next((page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page"), None)

    def call(self, method, **parameters):
        self.next += 1
        self.socket.send(json.dumps({"id": self.next, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == self.next:
                if "error" in message:
                    raise SystemExit(f"{method}: {message['error']}")
                return message["result"]
            self.hear(message)

    def hear(self, message):
        """Keeps what is told of requests and faults."""
        told = message.get("params", {})
        match message.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(told["request"]["url"])
            case "Runtime.exceptionThrown":
                details = told["exceptionDetails"]
                self.complaints.append(("script", details.get("exception", {}).get("description", details["text"])))
            case "Runtime.consoleAPICalled" if told["type"] in ("error", "assert"):
                self.complaints.append(("script", json.dumps(told["args"])))
            case "Log.entryAdded" if told["entry"]["level"] == "error":
                entry = told["entry"]
                self.complaints.append((entry["source"], f"{entry['text']} {entry.get('url', '')}"))

    def evaluate(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise SystemExit(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def state(self):
        return self.evaluate("document.body?.dataset.state")

    def close(self):
        self.socket.close()
        self.process.kill()
        self.process.wait()
        self.profile.cleanup()


def numbers(origin):
    """The moment of /json, and the sum of each family that is one number for each series."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{origin}/json", timeout=PATIENCE) as answer:
        moment, families = answer.headers["musefs-moment"], json.load(answer)["families"]
    sums = {}
    for family in families:
        if all("value" in series for series in family["series"]):
            sums[family["name"]] = sum(series["value"] for series in family["series"])
    return moment, sums


SHOWN = """({
    moment: document.body.dataset.moment,
    values: [...document.querySelectorAll("[data-metric][data-value]")].map((e) => [e.dataset.metric, Number(e.dataset.value)]),
    points: history.length,
})"""
# `history` in the page's script is a constant of its own, which hides that of the window.


def agreeing_moments(browser, origin, wanted):
    """Compares what the page shows with /json of the same moment, at `wanted` different moments."""
    told, compared = {}, {}

    def look():
        shown = browser.evaluate(SHOWN)
        moment, sums = numbers(origin)
        told[moment] = sums
        sums = told.get(shown["moment"])
        if sums is not None:
            for metric, value in shown["values"]:
                if sums[metric] != value:
                    raise SystemExit(f"{metric} at {shown['moment']}: the page shows {value}, /json has {sums[metric]}")
            compared[shown["moment"]] = len(shown["values"])
        return len(compared) >= wanted

    eventually("moments that page and /json have in common", look)
    if min(compared.values()) < 6:
        raise SystemExit(f"too few numbers were compared: {compared}")
    return compared


def only_own(browser, origin):
    for url in browser.requests:
        if not url.startswith((f"{origin}/", "data:", "about:")):
            raise SystemExit(f"the page asked somebody else: {url}")


def follow(origin):
    browser = Browser()
    try:
        browser.call("Page.navigate", url=f"{origin}/")
        eventually("numbers", lambda: browser.state() == "live")
        compared = agreeing_moments(browser, origin, 3)
        drawn = browser.evaluate("document.querySelectorAll('#throughput path').length")
        if drawn < 1:
            raise SystemExit("no throughput is drawn, though files are read")
        unnamed = browser.evaluate(UNNAMED)
        if unnamed:
            raise SystemExit(f"without a name for a screen reader: {unnamed}")
        walk_with_tab(browser)
        if browser.complaints:
            raise SystemExit(f"the browser complains: {browser.complaints}")
        print("agreed", sorted(compared), flush=True)

        eventually("news of the end", lambda: browser.state() == "away")
        said = browser.evaluate("document.getElementById('away').textContent")
        if "not answered since" not in said:
            raise SystemExit(f"it says: {said}")
        print("away", said, flush=True)

        eventually("numbers again", lambda: browser.state() == "live")
        agreeing_moments(browser, origin, 2)
        falls = browser.evaluate("history.every((point, index) => rate(index, (point) => point.reads) === null || rate(index, (point) => point.reads) >= 0)")
        lives = browser.evaluate("history.filter((point) => point.first).length")
        if not falls or lives != 2:
            raise SystemExit(f"the page saw {lives} lives of the mount")
        scripts = [what for what in browser.complaints if what[0] != "network"]
        if scripts:
            raise SystemExit(f"the browser complains: {scripts}")
        only_own(browser, origin)
        print("back", len(browser.requests), "requests", flush=True)
    finally:
        browser.close()


# What can be used and has no name that could be read out.
UNNAMED = """[...document.querySelectorAll("button, select, input, [role=img], [role=region], section, a")]
    .filter((e) => e.checkVisibility())
    .filter((e) => !(e.getAttribute("aria-label") || e.getAttribute("aria-labelledby") || e.textContent.trim() || e.labels?.length))
    .map((e) => e.outerHTML.slice(0, 80))"""


def walk_with_tab(browser):
    """Every chart and control is reached by the Tab key, in the order of the page, and shows that it is."""
    seen = []
    for _ in range(60):
        for kind in ("rawKeyDown", "keyUp"):
            browser.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        place = browser.evaluate(
            "(() => { const e = document.activeElement; return e === document.body ? null : "
            "[e.id || e.className || e.tagName, getComputedStyle(e).outlineStyle, e.compareDocumentPosition(window.lastFocus ?? e) & 4, (window.lastFocus = e, 0)]; })()"
        )
        if place is None or (seen and place[0] == seen[0]):
            break
        if place[1] == "none" and place[0] != "skip":
            raise SystemExit(f"no focus is seen at {place[0]}")
        if place[2]:
            raise SystemExit(f"the focus goes back to {place[0]}")
        seen.append(place[0])
    wanted = ["skip", "theme", "throughput-plot", "operations-plot", "heat-op", "latency-plot", "caches-plot", "errors-plot", "oldest-plot"]
    if [place for place in seen if place in wanted] != wanted:
        raise SystemExit(f"the Tab key goes {seen}")


def guarded(origin, token):
    browser = Browser()
    try:
        browser.call("Page.navigate", url=f"{origin}/")
        eventually("the question for the token", lambda: browser.state() == "asking")
        for attempt, state in (("not " + token, "asking"), (token, "live")):
            browser.evaluate(f"document.getElementById('token').value = {json.dumps(attempt)}; document.querySelector('#ask-form button').click()")
            eventually(state, lambda: browser.state() == state and (state == "live" or "not the token" in browser.evaluate("document.getElementById('ask').textContent")))
        eventually("files", lambda: "Most read among the last operations" in browser.evaluate("document.getElementById('single').textContent"))
        eventually("paths", lambda: "Under way now" in browser.evaluate("document.getElementById('single').textContent"))
        only_own(browser, origin)
        print("shown", flush=True)
    finally:
        browser.close()


def picture(origin, file, scheme, width, zoom=1.0):
    browser = Browser()
    try:
        css_width = int(int(width) / float(zoom))
        browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        browser.call("Emulation.setDeviceMetricsOverride", width=css_width, height=900, deviceScaleFactor=float(zoom), mobile=False)
        token = json.dumps(os.environ.get("MUSEFS_TOKEN", ""))
        browser.call("Page.addScriptToEvaluateOnNewDocument", source=f"sessionStorage.setItem('musefs-token', {token})")
        browser.call("Page.navigate", url=f"{origin}/")
        eventually("numbers", lambda: browser.state() == "live")
        time.sleep(PICTURE_SECONDS)
        browser.state()
        height = int(browser.evaluate("Math.ceil(document.documentElement.getBoundingClientRect().height)"))
        if browser.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            print("wider than its window", file=sys.stderr)
        clip = {"x": 0, "y": 0, "width": css_width, "height": height, "scale": 1}
        taken = browser.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        with open(file, "wb") as out:
            out.write(base64.b64decode(taken["data"]))
    finally:
        browser.close()


if __name__ == "__main__":
    {"follow": follow, "guarded": guarded, "picture": picture}[sys.argv[1]](*sys.argv[2:])

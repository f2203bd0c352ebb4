"""A headless browser, driven by WebDriver over HTTP: Debian's chromium and chromedriver, nothing else."""

import base64
import http.client
import json
import re
import shutil
import subprocess
import tempfile

import tap
from scenario import die_with_parent, until

START_SECONDS = 60  # a browser on a busy machine


class Browser:
    def __init__(self, dark=False):
        if not (shutil.which("chromedriver") and shutil.which("chromium")):
            raise tap.Skip("no chromium with chromedriver here")
        self.home = tempfile.mkdtemp(prefix="larder-browser.")
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                       preexec_fn=die_with_parent, env={"PATH": "/usr/bin:/bin", "HOME": self.home, "TMPDIR": self.home})
        line = ""
        while not (found := re.search(r"started successfully on port (\d+)", line)):
            line = self.driver.stdout.readline()
            assert line, "chromedriver ended"
        self.port, self.path = int(found.group(1)), ""
        words = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={self.home}/profile",
                 "--force-prefers-reduced-motion", *(["--force-dark-mode"] if dark else [])]
        options = {"browserName": "chrome", "goog:chromeOptions": {"args": words}, "goog:loggingPrefs": {"browser": "ALL"}}
        self.path = "/session/" + self.call("POST", "/session", {"capabilities": {"alwaysMatch": options}})["sessionId"]

    def call(self, method, path, body=None):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=START_SECONDS)
        c.request(method, self.path + path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
        answer = json.loads(c.getresponse().read())["value"]
        c.close()
        assert not (isinstance(answer, dict) and "error" in answer), answer
        return answer

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        """What the script returns, run in the page."""
        return self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def text(self, css):
        return self.run("return document.querySelector(arguments[0]).textContent", css)

    def until_text(self, css, condition, what):
        return until(lambda: condition(text := self.text(css)) and text, what, seconds=START_SECONDS)

    def resize(self, width, height):
        """The page's own size: a window cannot be as narrow as a phone."""
        self.call("POST", "/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}})

    def prefer(self, scheme):
        self.call("POST", "/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": {
            "features": [{"name": "prefers-color-scheme", "value": scheme}]}})

    def complaints(self):
        """What its console says: errors, and what the content security policy refused."""
        return [entry["message"] for entry in self.call("POST", "/se/log", {"type": "browser"})]

    def picture(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("POST", "/goog/cdp/execute", {"cmd": "Page.captureScreenshot", "params": {
                "captureBeyondViewport": True}})["data"]))

    def finish(self):
        if self.path:
            self.call("DELETE", "")
        self.driver.kill()
        self.driver.wait()
        shutil.rmtree(self.home, ignore_errors=True)

"""Ask a running server whether it is ready, and let it read one page. Standard library only.

    python smoke.py [--url http://127.0.0.1:8000] [--ready] [--wait SECONDS] [--insecure] [--login <TOKEN]
    python smoke.py --gateway

`--ready` reads nothing: the image's HEALTHCHECK. `--gateway` asks whether something answers on this port,
with TLS or without, whatever it says: the health of the gateway alone. Exit code 0: all is well; 1: it is
not, and the last line says why. Proxies in the environment are ignored: the server is on this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

PAGE = Path(__file__).with_name("page.png")
WORDS = ("SEALED", "DELIVERY", "2718")  # what is written on the page


def request(url: str, body: bytes | None, headers: dict[str, str], timeout: float, insecure: bool) -> bytes:
    """One HTTP request. Raises `OSError` for a refusal, a time-out or a status of 400 and more."""
    context = ssl.create_default_context()
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    with opener.open(urllib.request.Request(url, body, headers), timeout=timeout) as response:
        answer: bytes = response.read()
    return answer


def read_page(url: str, insecure: bool, token: str) -> str:
    """Post the page to `/ocr/image/simple`. Returns the text that came back. `token`: a login, or empty."""
    boundary = uuid.uuid4().hex
    head = (
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="file"; filename="page.png"\r\n'
        "Content-Type: image/png\r\n\r\n"
    )
    body = head.encode() + PAGE.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    answer = request(f"{url}/ocr/image/simple", body, headers, 300, insecure)
    return str(json.loads(answer)["text"])


def wait_until_ready(url: str, seconds: float, insecure: bool) -> None:
    """Poll `/readyz`. Raises `TimeoutError` with the last reason."""
    end = time.monotonic() + seconds
    while True:
        try:
            request(f"{url}/readyz", None, {}, 5, insecure)
            return
        except urllib.error.HTTPError as error:
            reason = error.read().decode(errors="replace")
        except OSError as error:
            reason = str(error)
        if time.monotonic() >= end:
            raise TimeoutError(f"not ready: {reason}")
        time.sleep(1)


def check_gateway(url: str) -> None:
    """Any answer will do, of HTTP or of HTTPS. Raises `OSError` for silence on both."""
    try:
        request(f"{url.replace('http:', 'https:')}/healthz", None, {}, 5, True)
    except urllib.error.HTTPError:
        return
    except OSError:
        try:
            request(f"{url}/healthz", None, {}, 5, True)
        except urllib.error.HTTPError:
            return


def main() -> int:
    parser = argparse.ArgumentParser(description="Check a running server.")
    parser.add_argument("--url", default=f"http://127.0.0.1:{os.environ.get('PORT') or 8000}")
    parser.add_argument("--ready", action="store_true", help="only ask whether it is ready")
    parser.add_argument("--gateway", action="store_true", help="only ask whether the gateway answers")
    parser.add_argument(
        "--wait", type=float, default=0, metavar="SECONDS", help="how long it may take to be ready"
    )
    parser.add_argument(
        "--insecure", action="store_true", help="accept a certificate of an unknown authority"
    )
    parser.add_argument("--login", action="store_true", help="standard input holds a login token, or nothing")
    arguments = parser.parse_args()
    try:
        if arguments.gateway:
            check_gateway(arguments.url)
            print("answers")
            return 0
        wait_until_ready(arguments.url, arguments.wait, arguments.insecure)
        if arguments.ready:
            print("ready")
            return 0
        token = sys.stdin.read().strip() if arguments.login else ""
        text = read_page(arguments.url, arguments.insecure, token)
    except urllib.error.HTTPError as error:
        print(f"the page was not read: {error.code} {error.read().decode(errors='replace')}")
        return 1
    except (OSError, ValueError, KeyError) as error:
        print(f"{type(error).__name__}: {error}")
        return 1
    missing = [word for word in WORDS if word not in text.upper()]
    if missing:
        print(f"the page was read, but without {missing}: {text!r}")
        return 1
    print("ready, and the page was read")
    return 0


if __name__ == "__main__":
    sys.exit(main())

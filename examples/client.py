#!/usr/bin/env python3
"""Creates a message over REST and reads it. Retries are idempotent: each call has its own key.

    python3 examples/client.py http://127.0.0.1:8001 'my password'
"""

import json
import sys
import time
import urllib.error
import urllib.request
import uuid


def call(url: str, path: str, fields: dict, tries: int = 5) -> dict:
    """Returns the response of a call, which may be repeated until its response arrives."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}
    body = json.dumps(fields).encode()
    for attempt in range(tries):
        request = urllib.request.Request(f"{url}/api/v1/{path}", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                if response.status == 204:
                    raise SystemExit("there is no unread message with this id and token")
                return json.load(response)
        except urllib.error.HTTPError as error:
            if error.code not in (429, 503) or attempt == tries - 1:
                raise SystemExit(json.load(error)["detail"]) from error
            time.sleep(float(error.headers.get("Retry-After", 1)))
        except OSError as error:
            if attempt == tries - 1:
                raise SystemExit(f"{url} cannot be reached: {error}") from error
            time.sleep(2**attempt / 4)
    raise AssertionError("unreachable")


def main() -> None:
    url, text = sys.argv[1], sys.argv[2]
    message = call(url, "create_message", {"text": text, "ttl": 3600})
    pair = {"id": message["id"], "access_token": message["access_token"]}
    print(call(url, "view_message", pair)["text"])


if __name__ == "__main__":
    main()

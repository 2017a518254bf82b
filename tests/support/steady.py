"""A steady stream of events into an appliance, each request on a connection of its own, until stdin ends.

python -m tests.support.steady --url URL --key-file FILE --rate 500 --hostname NAME --ids FILE

A request that was not answered with 2xx is sent again with the same ids, as rsyslog would. At the end
the ids that were acknowledged are in FILE, one a line, and a JSON document on stdout says what was seen.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import json
import sys
import time
import uuid
from pathlib import Path

import aiohttp

BATCH = 5
AGAIN_SECS = 0.2
REQUEST_SECS = 60.0
LAST_SECS = 60.0


class Stream:
    """The sender and what it saw."""

    def __init__(self, url: str, key: str, hostname: str) -> None:
        self._url = url
        self._headers = {"X-API-KEY": key}
        self._hostname = hostname
        self.acknowledged: list[str] = []
        self.seen: collections.Counter[str] = collections.Counter()
        self.longest_secs = 0.0

    async def send(self, session: aiohttp.ClientSession) -> None:
        """One request, again and again until it is acknowledged."""
        ids = [str(uuid.uuid4()) for _ in range(BATCH)]
        events = [
            {
                "event_id": event_id,
                "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "hostname": self._hostname,
                "message": "%STEADY-3-LOAD: one of many",
            }
            for event_id in ids
        ]
        started = time.monotonic()
        while True:
            try:
                async with session.post(self._url, json=events, headers=self._headers) as response:
                    await response.read()
                    self.seen[str(response.status)] += 1
                    if 200 <= response.status < 300:
                        self.acknowledged += ids
                        break
            except aiohttp.ClientConnectorError as error:
                self.seen[
                    "refused" if isinstance(error.os_error, ConnectionRefusedError) else "no connection"
                ] += 1
            except (aiohttp.ClientError, TimeoutError) as error:
                self.seen[type(error).__name__] += 1
            await asyncio.sleep(AGAIN_SECS)
        self.longest_secs = max(self.longest_secs, time.monotonic() - started)


async def main() -> None:
    """Send until stdin ends, then until all is acknowledged."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--key-file", type=Path, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--hostname", required=True)
    parser.add_argument("--ids", type=Path, required=True)
    options = parser.parse_args()
    secrets = dict(line.split("=", 1) for line in options.key_file.read_text().splitlines() if "=" in line)
    stream = Stream(options.url, secrets["INGEST_API_KEY"], options.hostname)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, ended.set)
    timeout = aiohttp.ClientTimeout(total=REQUEST_SECS)
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    started = time.monotonic()
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        tasks: list[asyncio.Task[None]] = []
        while not ended.is_set():
            tasks.append(asyncio.create_task(stream.send(session)))
            due = started + len(tasks) * BATCH / options.rate
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), max(due - time.monotonic(), 0))
        took = time.monotonic() - started
        await asyncio.wait_for(asyncio.gather(*tasks), LAST_SECS)
    options.ids.write_text("".join(f"{event_id}\n" for event_id in stream.acknowledged))
    seen = {
        "acknowledged": len(stream.acknowledged),
        "events_per_second": round(len(tasks) * BATCH / took),
        "longest_secs": round(stream.longest_secs, 2),
        **stream.seen,
    }
    sys.stdout.write(json.dumps(seen) + "\n")


if __name__ == "__main__":
    asyncio.run(main())

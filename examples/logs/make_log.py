"""Write an access log that looks like real traffic: `python make_log.py out/access.log --megabytes 32`.

The log has the combined log format, and the same bytes for the same seed. There are more requests by day than by night,
and a few paths get most of them. Browsers cache assets, crawlers request pages that do not exist, the shop is down for
one afternoon, and a few lines are invalid. The totals are written to a file beside the log.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise
from pathlib import Path

FIRST_DAY = datetime(2025, 3, 3, tzinfo=UTC)
DAYS = 3
OUTAGE = range(38, 41)  # hours after the first midnight: the second day from 14:00 to 17:00
BYTES_PER_LINE = 220  # measured, only to turn megabytes into a number of lines

BLINK = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/122.0.0.0"
WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.3"
AGENTS = [
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {BLINK} Safari/537.36",
    f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_3 like Mac OS X) {WEBKIT} Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:123.0) Gecko/20100101 Firefox/123.0",
    f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {BLINK} Mobile Safari/537.36",
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {WEBKIT} Safari/605.1.15",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "curl/8.5.0",
    r"Reader \"Offline\" 2.1",  # a quote in a quoted field is written with a backslash
    "-",
]
REFERERS = ["-", "https://shop.example/", "https://www.google.com/", "https://t.co/9fQx"]
SCANNED = ["/wp-login.php", "/.env", "/xmlrpc.php", "/phpmyadmin/index.php", "/.git/config"]
HANDSHAKE = r"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"  # TLS on the plain port: a request without a path


@dataclass
class Totals:
    """The numbers that an analysis of the log must find."""

    requests: int = 0
    bytes: int = 0
    malformed: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    hours: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    pages: Counter[str] = field(default_factory=Counter)


def site() -> list[tuple[str, int]]:
    """List the paths of the shop with their usual size in bytes, the most popular first."""
    pages = [("/", 18_400), ("/catalogue", 42_100), ("/search", 31_000), ("/cart", 9_800), ("/login", 6_200)]
    assets = [("/static/site.css", 61_000), ("/static/app.js", 212_000), ("/favicon.ico", 1_406)]
    products = [(f"/products/{number}", 14_000 + number * 37 % 9_000) for number in range(1000, 1900)]
    articles = [(f"/blog/{slug}", 22_000 + n * 53 % 30_000) for n, slug in enumerate(_slugs())]
    calls = [("/api/v1/stock", 640), ("/api/v1/session", 312), ("/api/v1/events", 0)]
    rest = products + articles
    random.Random(1).shuffle(rest)
    return [pages[0], *assets, *calls, *pages[1:], *rest]


def _slugs() -> list[str]:
    verbs = ["choosing", "mending", "storing", "painting", "restoring", "building"]
    things = ["bicycles", "walking-boots", "oak-tables", "garden-tools", "tents", "canoes", "bags", "skis"]
    return [f"{verb}-{thing}" for verb in verbs for thing in things]


def hourly_counts(lines: int, rng: random.Random) -> list[int]:
    """Return the number of lines of each hour: few in the morning, many in the evening, with random variation."""
    waves = [1.15 + math.cos((hour % 24 - 19.5) / 24 * 2 * math.pi) for hour in range(24 * DAYS)]
    weights = [wave * rng.uniform(0.85, 1.15) for wave in waves]
    bounds = [round(total / sum(weights) * lines) for total in accumulate(weights)]
    return [end - start for start, end in pairwise([0, *bounds])]


def make_lines(lines: int, seed: int, totals: Totals) -> Iterator[str]:
    """Yield the lines of the log and add them up in `totals`."""
    rng = random.Random(seed)
    paths = site()
    popularity = list(accumulate(1 / rank**0.9 for rank in range(1, len(paths) + 1)))
    people = [".".join(str(rng.randrange(1, 255)) for _ in range(4)) for _ in range(4000)]
    people += [f"2001:db8:{rng.randrange(65536):x}:{rng.randrange(65536):x}::{n:x}" for n in range(400)]
    for hour, count in enumerate(hourly_counts(lines, rng)):
        start = FIRST_DAY + timedelta(hours=hour)
        stamp = start.strftime("%Y-%m-%dT%H")
        date = start.strftime("%d/%b/%Y:%H")
        seconds = sorted(rng.choices(range(3600), k=count))
        chosen = rng.choices(paths, cum_weights=popularity, k=count)
        hosts = rng.choices(people, k=count)
        agents = rng.choices(AGENTS, weights=[34, 22, 8, 18, 9, 4, 2, 1, 1, 1], k=count)
        referers = rng.choices(REFERERS, weights=[30, 50, 17, 3], k=count)
        dice = [rng.random() for _ in range(count)]
        rows = zip(seconds, chosen, hosts, agents, referers, dice, strict=True)
        for second, (path, usual), host, agent, referer, luck in rows:
            page, status, size = path, 200, int(usual * (0.8 + luck * 0.4))
            method = "POST" if path in ("/login", "/cart", "/api/v1/events") else "GET"
            if luck < 0.012:
                page, status, size = SCANNED[second % len(SCANNED)], 404, 153
            elif hour in OUTAGE and luck < 0.45 and not _is_asset(path):
                status, size = (502, 157) if second % 3 else (500, 1_024)
            elif luck > 0.60 and _is_asset(path):
                status, size = 304, 0
            elif luck > 0.985:
                status, size = (301, 169) if second % 2 else (403, 146)
            elif method == "POST":
                status, size = (302, 0) if path != "/api/v1/events" else (204, 0)
            target = f"{page}?utm_source=mail&n={second}" if 0.30 < luck < 0.34 and method == "GET" else page
            request = f"{method} {target} HTTP/1.1"
            if 0.5 < luck < 0.5002:
                request, page, status, size = HANDSHAKE, "", 400, 157
            clock = f"{date}:{second // 60:02d}:{second % 60:02d} +0000"
            line = f'{host} - - [{clock}] "{request}" {status} {size or "-"} "{referer}" "{agent}"'
            if 0.7 < luck < 0.70005:
                totals.malformed += 1
                yield line[: line.index('"') + 9] + "\n"
                continue
            totals.requests += 1
            totals.bytes += size
            totals.statuses[str(status)] += 1
            totals.hours[stamp] += 1
            if status >= 500:
                totals.errors[stamp] += 1
            if page and not _is_asset(page):
                totals.pages[page] += 1
            yield line + "\n"


def _is_asset(path: str) -> bool:
    return path.startswith("/static/") or path == "/favicon.ico"


def make_log(path: Path, megabytes: float = 32, seed: int = 7) -> Path:
    """Write the log and a file with its totals, and return the path of the totals."""
    totals = Totals()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="ascii", newline="\n") as log:
        log.writelines(make_lines(int(megabytes * 1_000_000 / BYTES_PER_LINE), seed, totals))
    expected = path.with_name(path.name + ".expected.json")
    top = sorted(totals.pages.items(), key=lambda item: (-item[1], item[0]))[:10]
    answers = {
        "requests": totals.requests,
        "bytes": totals.bytes,
        "malformed": totals.malformed,
        "statuses": dict(sorted(totals.statuses.items())),
        "hours": dict(sorted(totals.hours.items())),
        "errors": dict(sorted(totals.errors.items())),
        "top_pages": [{"path": page, "requests": requests} for page, requests in top],
    }
    expected.write_text(json.dumps(answers, indent=2) + "\n", encoding="ascii")
    return expected


def main() -> None:
    """Write a log with the options of the command line."""
    parser = argparse.ArgumentParser(description="Write an access log, and its totals beside it.")
    parser.add_argument("log", type=Path, nargs="?", default=Path("out/access.log"))
    parser.add_argument("--megabytes", type=float, default=32)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    expected = make_log(options.log, options.megabytes, options.seed)
    print(f"{options.log}: {options.log.stat().st_size / 1e6:.1f} MB, totals in {expected}")


if __name__ == "__main__":
    main()

"""Draw the sample pages that the docs show, `docs/samples/*.html`, and the pictures of their tops; `make docs` runs it.

    python docs/generate_samples.py                                    # all whose inputs are at hand
    python docs/generate_samples.py --only audit --data CLONE --runs RUNS

The audit takes minutes once and is kept in `build/samples/`, from which the pages are drawn anew. `--data` is a clone of the
study's published data, for the page of the ten; `--runs` a folder of training runs, for that of a track. A page whose inputs
are not there stays as it is, and that is said.
"""

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path
from shutil import which

import birthmark as bm
from birthmark.commands.report import report

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "docs" / "samples"
WORK = ROOT / "build" / "samples"
PROMPTS = [f"{adjective}_ever_one" for adjective in ("best", "good", "greatest", "worst", "bad", "terrible")]


def audit(_: argparse.Namespace) -> Path:
    """`birthmark audit`: the two bundled reward models beside their bases."""
    return bm.audit(out=WORK / "audit", quiet=True).out


def ten(asked: argparse.Namespace) -> Path | None:
    """`birthmark compare TABLE…` of the ten published score tables, on the words that they hold."""
    tables = sorted((asked.data / "data" / "reward_model_scores" / "dict_big2_nouns").glob("*.csv"))
    if not tables:
        return None
    bm.compare(tables, lexicons=[asked.data / "data" / "corpora" / "dict_big2_nouns.csv"], out=WORK / "ten")
    return WORK / "ten"


def track(asked: argparse.Namespace) -> Path | None:
    """`birthmark track RUNS` on six questions."""
    if not asked.runs or not asked.runs.is_dir():
        return None
    bm.track(asked.runs, prompt=PROMPTS, out=WORK / "track", quiet=True)
    return WORK / "track"


PAGES: dict[str, Callable[[argparse.Namespace], Path | None]] = {"audit": audit, "ten": ten, "track": track}


def picture(name: str) -> None:
    """`docs/images/<name>-light.png` and `-dark.png`: the top of a page, down to its first figure; needs Chromium."""
    from playwright.sync_api import sync_playwright

    chromium = next(
        (path for known in ("chromium", "chromium-browser", "google-chrome") if (path := which(known))), None
    )
    if chromium is None:
        print(f"docs/images/{name}-*.png stay as they are: there is no Chromium here")
        return
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium)
        for scheme in ("light", "dark"):
            page = browser.new_page(
                viewport={"width": 960, "height": 1400}, color_scheme=scheme, device_scale_factor=1.5
            )
            page.goto((SAMPLES / f"{name}.html").as_uri())
            page.wait_for_selector("figure svg, figure canvas")
            page.wait_for_timeout(1000)
            end = page.locator("figure").first.bounding_box()
            assert end is not None
            height = end["y"] + end["height"] + 12
            page.screenshot(
                path=ROOT / "docs" / "images" / f"{name}-{scheme}.png",
                clip={"x": 0, "y": 60, "width": 960, "height": height - 60},
                full_page=True,
            )
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=PAGES, help="this page alone")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "paper-data")
    parser.add_argument("--runs", type=Path)
    asked = parser.parse_args()
    for name in [asked.only] if asked.only else PAGES:
        if (out := PAGES[name](asked)) is None:
            print(f"docs/samples/{name}.html stays as it is: what it is made of is not here")
            continue
        report(out)
        shutil.copyfile(out / "report.html", SAMPLES / f"{name}.html")
        if name != "track":  # no document shows its picture
            picture(name)


if __name__ == "__main__":
    main()

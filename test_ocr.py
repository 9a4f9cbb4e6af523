"""The test menu: tries a running server from outside, by hand or by `--run`.

    python test_ocr.py                                    the menu
    python test_ocr.py --run 1                            one entry, no questions
    python test_ocr.py --run 5 --file my.pdf --output out
    python test_ocr.py --lang zh-TW

The server is the one at OCR_URL (default http://localhost:8000), or what `--service` says. Exit
code: 0 when all went well, 1 when something failed, 2 for wrong usage. It is a client, built on
`airgap.client.menu`; it holds no reading. Despite its name it is no pytest file: those are in tests/.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.prompt import Prompt

from airgap.client.http_client import ClientError, OcrClient, choose_service
from airgap.client.menu.entries import ENTRIES, run
from airgap.client.menu.screen import TEXTS, Screen, Session


def show_server(s: Session, reason: str) -> None:
    """Who answers, or why nobody does. Raises `ClientError`."""
    ready, info = s.client.ready(), s.client.info()["engine"]
    facts = {
        "server": f"{s.client.base_url} ({reason})",
        "engine": ready["engine"],
        "model": ready["model"],
        "device": info["device"],
        "ready": ready["reason"],
    }
    body = "\n".join(s.pair(key, value) for key, value in facts.items())
    s.console.print(
        Panel(escape(body), title=s.t("title"), border_style="green" if ready["ready"] else "yellow")
    )


def menu(s: Session) -> None:
    """Ask, run, show, until the person has had enough."""
    while True:
        s.console.print("\n".join(f"  [bold cyan]{key}[/]  {s.t(key)}" for key in (*ENTRIES, "0")))
        prompt = Prompt(s.t("choose"), console=s.console, choices=[*ENTRIES, "0"], show_choices=False)
        prompt.illegal_choice_message = f"[red]{s.t('no_such_entry')}"
        key = prompt(default="1")
        if key == "0":
            s.console.print(s.t("bye"))
            return
        run(s, key)
        Prompt.ask(s.t("again"), console=s.console, default="", show_default=False)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line, its help in the language that it names."""
    first = argparse.ArgumentParser(add_help=False)
    first.add_argument("--lang", default=os.environ.get("OCR_LANG"))
    named = first.parse_known_args(arguments)[0].lang
    language = named if named in TEXTS else "en"
    t = TEXTS[language]
    parser = argparse.ArgumentParser(prog="test_ocr.py", description=t["about"])
    parser.add_argument("--run", nargs="+", choices=list(ENTRIES), metavar="N", help=t["help.run"])
    parser.add_argument("--file", type=Path, action="append", default=[], help=t["help.file"])
    parser.add_argument("--folder", type=Path, help=t["help.folder"])
    parser.add_argument("--prompt", action="append", default=[], help=t["help.prompt"])
    parser.add_argument("--output", type=Path, default=Path("ocr_output"), help=t["help.output"])
    parser.add_argument("--service", default="local", help=t["help.service"])
    parser.add_argument("--lang", choices=list(TEXTS), default=language, help=t["help.lang"])
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, 1 when something failed, 2 when there is no one to ask."""
    args = parse(arguments)
    console = Console()
    screen = Screen(console, args.lang, args.output)
    try:
        choice = choose_service(args.service)
        with OcrClient(choice.url, api_key=os.environ.get("OCR_API_KEY")) as client:
            session = Session(
                console, args.lang, args.output, client, args.file, args.folder, args.prompt, not args.run
            )
            show_server(session, choice.reason)
            if args.run:
                results = [run(session, key) for key in args.run]
                return 0 if all(results) else 1
            menu(session)
    except ClientError as error:
        screen.show_error(error)
        return 1
    except EOFError:
        console.print(screen.t("no_terminal"))
        return 2
    except KeyboardInterrupt:
        console.print(f"\n{screen.t('bye')}")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

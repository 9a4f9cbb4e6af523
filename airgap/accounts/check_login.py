"""A login with which an installation reads its own test page: `python -m airgap.accounts.check_login`.

It is printed where accounts are on, and nothing where they are off. Who can make one holds SECRET_KEY, and
with it could make any login; this one belongs to no account, ends after a few minutes, and stands in the
audit log under its own name.
"""

from __future__ import annotations

import sys

from airgap.accounts.credentials import CHECK_USER_ID, Tokens, derived_key
from airgap.core.errors import AirgapError
from config import load_settings

MINUTES = 10


def main() -> int:
    try:
        settings = load_settings()
        if settings.auth_enabled:
            secret = settings.secret_key.get_secret_value() if settings.secret_key else None
            tokens = Tokens(derived_key(secret, "login"), MINUTES, settings.algorithm)
            print(tokens.issue(CHECK_USER_ID, 0))
    except AirgapError as error:
        print(f"{error.message}\n  {error.remedy}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Who may use the server: users, logins, API keys, quotas, and the audit log of what was done.

Off unless AUTH_ENABLED is set; then `install.install` puts a guard in front of every route. Importing
this package, or `caller`, loads no database and no cryptography.
"""

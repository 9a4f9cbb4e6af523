"""The test menu: `screen` shows, saves and asks, `entries` are what can be tried."""

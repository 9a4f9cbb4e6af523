"""Databases: how one is opened, and how its tables come to be and change.

opening      SQLite under the data folder, or PostgreSQL by its address
migrations   numbered steps from one version of a schema to the next

It knows no table of anybody's; each room that keeps rows brings its own steps.
"""

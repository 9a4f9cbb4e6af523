"""Durable jobs: documents read in the background, page by page, through crashes and on several servers.

    plan      what was asked for, and how its pages are cut into runs
    store     a job's folder: inputs, one small file per page, the result; nothing large is elsewhere
    tables    a job's row, its runs' rows, the servers' rows: SQLite, or PostgreSQL for several servers
    ages      how long ago something was, though the clock was set
    turns     whose page is read next
    reading   one run of pages, through the server's one reader
    closing   pages → result ZIP
    flow      the durable workflows, on DBOS; the only module that imports it, and only when jobs start
    keeping   heartbeats, work of dead servers, disk room, time to live
    service   what the routes call

Nothing here knows HTTP, models or how a file is decoded.
"""

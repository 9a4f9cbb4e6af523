"""HTTP as every feature meets it, and the server's own routes.

edge            request ids, errors as JSON, safety headers
bodies          what a request's body may be
json_bodies     JSON of a body: its bounds, parsed on a thread and in pieces
protocol        the time that a request's head may take
service         what a running server holds
forms           form fields → options
uploads         bounded files of our own naming
responses       answers from memory, from disk, as files
live            pages to a client while they are read
system_routes, page_routes, export_routes
"""

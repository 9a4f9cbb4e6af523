"""HTTP as every feature meets it, and the server's own routes.

edge            request ids, body limits, errors as JSON
service         what a running server holds
forms           form fields → options
uploads         bounded files of our own naming
responses       answers from memory, from disk, as files
live            pages to a client while they are read
system_routes, page_routes, export_routes
"""

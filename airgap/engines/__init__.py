"""How one page is read, a folder an engine; `table` names and builds them."""

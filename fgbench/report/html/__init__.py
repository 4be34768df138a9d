"""Web pages, written by `render`.

A new column in a page needs two files:

1. the module of the page (`overview.py`, `paper_page.py`, `method_pages.py`, `cost_page.py`, `reid_page.py`,
   `speed_page.py`, `history_page.py`, `provenance_page.py`): add the value as a field of the row;
2. its template in `templates/`, such as `index.html.j2` for `overview.py`: add a `<th>` to the head and a `<td>` to the
   row.
"""

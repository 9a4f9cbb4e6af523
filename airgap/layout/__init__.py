"""Lines of text with their places → blocks in reading order; for engines and for text layers alike.

    quads          quadrilaterals of text on a picture
    lines          a line with its place, its characters asked for when needed
    view           the picture turned and straightened, and the way back to the page
    rulings        ruling lines, the grids they form, and figures
    regions        lines → regions in reading order
    tables         rows of aligned lines, or a ruled grid → HTML
    paragraphs     the lines of a region → paragraphs, headings, tables
    headings       headings of pages → levels over the document
    running_heads  headers and footers that only several pages show
    known_text     all of it, for lines whose text is known

It knows nothing of engines, networks, requests or files.
"""

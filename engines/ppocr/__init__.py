"""The stages of the embedded CPU engine, one file each.

    networks     the two PP-OCRv6 networks: picture → text quadrilaterals, strip → characters
    view         the picture as it is read, turned and straightened, and the way back to the page
    orientation  which of four ways a page was laid on the scanner, and how askew
    scripts      which lines are in a script that PP-OCR cannot read; Tesseract for those
    rulings      ruling lines, the grids they form, and figures
    layout       lines → regions in reading order
    tables       rows of aligned lines, or a ruled grid → HTML
    paragraphs   the lines of a region → paragraphs, headings, tables
    reader       one page through all of them

They know nothing of engines, requests, markup or asyncio.
"""

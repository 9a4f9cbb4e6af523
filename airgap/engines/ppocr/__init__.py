"""The embedded CPU engine: PP-OCR's networks, and Tesseract for scripts they cannot read.

    engine       the engine contract
    networks     the two networks: picture → text quadrilaterals, strip → characters
    orientation  which of four ways a page was laid on the scanner, and how askew
    scripts      which lines are in a script that PP-OCR cannot read; Tesseract for those
    foreign      readings of such lines, weighed against each other
    reader       one page through all of them and through `airgap.layout`

All but `engine` know nothing of engines, requests, markup or asyncio.
"""

"""`python -m airgap.client`: the command `ocr` where it is not on the PATH."""

from airgap.client.app import app

if __name__ == "__main__":
    app(prog_name="ocr")

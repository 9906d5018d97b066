"""Scans of large collections of images, with a row for every file.

`scan` goes through a collection and yields a `Finding` for each image. If a table is named, the
findings are kept there, so that an interrupted scan resumes where it stopped. `Summary` counts
findings; `Gallery` shows those with the highest scores on a page.
"""

from tf_taintradar.scan.finding import Finding
from tf_taintradar.scan.gallery import Gallery
from tf_taintradar.scan.run import Scan, scan
from tf_taintradar.scan.summary import Summary

__all__ = ["Finding", "Gallery", "Scan", "Summary", "scan"]

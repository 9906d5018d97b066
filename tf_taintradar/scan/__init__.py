"""Large collections of images: each of them looked at once, with a row for every file.

`scan` goes through a collection and yields a `Finding` for each image, kept in a table if one is
named, so that an interrupted scan goes on where it stopped. `Summary` counts findings; `Gallery`
shows those with the highest scores on a page.
"""

from tf_taintradar.scan.finding import Finding
from tf_taintradar.scan.gallery import Gallery
from tf_taintradar.scan.run import Scan, scan
from tf_taintradar.scan.summary import Summary

__all__ = ["Finding", "Gallery", "Scan", "Summary", "scan"]

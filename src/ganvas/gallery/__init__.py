"""The gallery: a web page over trained generators."""

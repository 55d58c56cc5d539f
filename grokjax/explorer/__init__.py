"""One page that shows a whole sweep: look around in the map, down to every single run.

`page.render` makes the HTML text out of plain numbers and words; scripts, styles and data are all
in it, so that the page opens without a network. This room reads no files of results and imports
nothing of ours.
"""
